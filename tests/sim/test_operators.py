"""Members change all the time, under all faults: no rule is broken, and the cluster that is left serves."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import CLASSIC, LEADER
from dkv.sim.plan import FAULTS, OF_OPERATORS
from dkv.sim.run import run
from dkv.sim.world import World

FEW = frozenset((*OF_OPERATORS, "crash", "loss", "partition"))
"""Few enough for dozens of changes in a run."""


class RunTests(SynchronousTestCase):
    timeout = 600

    def check(self, mode: str, seeds: range, faults: frozenset[str]) -> Counter[str]:
        """No seed breaks a rule; how often each event was noted that tells of members."""
        counts: Counter[str] = Counter()
        world_noted = World.noted

        def count(world: World, node: Any, actor: str, event: Any, fields: Any) -> None:
            counts[event.name] += 1
            world_noted(world, node, actor, event, fields)

        self.patch(World, "noted", count)
        for seed in seeds:
            result = run(seed, 3 if seed % 2 else 5, 15.0, faults, mode=mode)
            self.assertIsNone(result.violation, f"seed {seed}")
        return counts

    def test_leader_mode(self) -> None:
        """Sets follow each other, and nodes learn that they were removed."""
        counts = self.check(LEADER, range(1, 4), FEW)
        self.assertGreater(counts["members_in_force"], 20)
        self.assertGreater(counts["removed"], 2)

    def test_all_faults(self) -> None:
        """The same with everything else that strikes."""
        self.check(LEADER, range(1, 3), frozenset((*FAULTS, *OF_OPERATORS)))

    def test_classic_mode(self) -> None:
        """Where nobody leads, each node goes by the log."""
        counts = self.check(CLASSIC, range(1, 4), FEW)
        self.assertGreater(counts["members_in_force"], 10)
