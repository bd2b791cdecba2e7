"""Members change all the time, under all faults: no rule is broken, and the cluster that is left serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import CLASSIC, LEADER
from dkv.sim.modes import MIXED
from dkv.sim.plan import FAULTS, OF_OPERATORS, RIVALS
from dkv.sim.world import World
from tests.sim.journeys import Traveller, travel

FEW = frozenset((*OF_OPERATORS, *RIVALS, "crash", "loss", "partition"))
"""Few enough for dozens of changes in a run."""
SEEDS = (*range(4, 13), 15, 19)


class RunTests(SynchronousTestCase):
    timeout = 600

    def check(self, mode: str, seeds: Iterable[int], faults: frozenset[str] = FEW) -> Counter[str]:
        """No seed breaks a rule; what was gone through, and how often each event was noted that tells of members."""
        traveller = Traveller()
        world_noted = World.noted

        def count(world: World, node: Any, actor: str, event: Any, fields: Any) -> None:
            traveller.counts[event.name] += 1
            world_noted(world, node, actor, event, fields)

        with patch.object(World, "noted", count):
            for seed in seeds:
                outcome = travel(traveller, seed, 3 if seed % 2 else 5, 15.0, faults, mode)
                self.assertIsNone(outcome.violation, f"seed {seed}, {mode}")
        return traveller.counts

    def test_all_modes(self) -> None:
        """There is each kind of change in the runs; for those that are rare here see ``test_journeys``.

        So is a crash of the leader while a change is under way: there each node crashes at many steps of one.
        """
        leader, classic, mixed = (
            self.check(LEADER, SEEDS),
            self.check(CLASSIC, SEEDS),
            self.check(MIXED, SEEDS),
        )
        self.assertGreater(leader["members_in_force"], 20)
        self.assertGreater(leader["removed"], 2)
        self.assertGreater(classic["members_in_force"], 10)
        counts = leader + classic + mixed
        kinds = ["one replaced", "all replaced", "leader removed", "refused"]
        kinds += [f"{size} voters" for size in range(1, 7)]
        self.assertEqual([kind for kind in kinds if not counts[kind]], [], counts)

    def test_all_faults(self) -> None:
        """The same beside everything else that strikes."""
        self.check(LEADER, SEEDS, FEW.union(FAULTS))
