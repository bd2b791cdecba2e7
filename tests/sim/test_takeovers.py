"""The lead is handed over again and again, under all faults, and by words that come late or twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.sim.plan import BY_NAME, FAULTS
from dkv.sim.run import run
from dkv.sim.world import World
from tests.sim.hunt import HuntTestCase
from tests.sim.planted_takeovers import TAKE_OVERS

ALL = frozenset((*FAULTS, *BY_NAME))
FEW = frozenset(("contest", "crash", "delay", "loss", "partition", "pause", "repeat", "slow-disk", *BY_NAME))
"""Few enough for the lead to move many times in a run."""


class RunTests(SynchronousTestCase):
    timeout = 600

    def check(self, mode: str, seeds: range, faults: frozenset[str] = FEW) -> Counter[str]:
        """No seed breaks a rule; how often each event was noted that tells of it."""
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
        """Nothing is lost, stale or executed twice, and a healed cluster serves, however often the lead moves."""
        counts = self.check("leader", range(1, 13))
        self.assertGreater(counts[noted.handing_over.name], 15)
        self.assertGreater(counts[noted.taking_over.name], 10)
        self.assertGreater(counts[noted.not_handed_over.name], 10, "to nodes that cannot")

    def test_all_faults(self) -> None:
        """The same beside disks that fail, and all the rest."""
        self.check("leader", range(1, 5), ALL)

    def test_no_other_fault(self) -> None:
        """On a good network a leader that is asked hands over, nearly always."""
        counts = self.check("leader", range(1, 5), frozenset(BY_NAME))
        self.assertGreater(counts[noted.taking_over.name], 0.5 * counts[noted.handing_over.name])
        self.assertGreater(counts[noted.leading.name], 0.8 * counts[noted.taking_over.name])

    def test_mixed_mode(self) -> None:
        """Nodes of classic mode have no lead, and are not asked."""
        self.check("mixed", range(1, 5))


class PlantedTests(HuntTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def check(self, *words: str) -> None:
        """The bug that the test is named after is found, and its sentence has one of ``words``."""
        name = self._testMethodName.removeprefix("test_")
        self.check_found(name, TAKE_OVERS[name], words, faults=ALL)

    def test_takes_over_from_anybody(self) -> None:
        """A late word of a leader that is gone deposes the one that serves."""
        self.check("takes over from ballot")

    def test_takes_over_without_phase_1(self) -> None:
        """A leader without a quorum's promises overwrites what its predecessor has chosen."""
        self.check("I6", "I7", "I8")

    def test_all(self) -> None:
        """A planted bug without a test here would prove nothing."""
        tested = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        self.assertEqual(TAKE_OVERS.keys(), tested - {"all"})
