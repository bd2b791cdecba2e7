"""Publish/subscribe in the simulator: its rules hold under all faults, and find what breaks them."""

from __future__ import annotations

from collections.abc import Iterable

from dkv.settings import CLASSIC, LEADER
from dkv.sim.modes import MIXED
from dkv.sim.plan import FAULTS, SUBSCRIBERS
from dkv.sim.run import run
from tests.sim.hunt import HuntTestCase
from tests.sim.planted_audience import AUDIENCE

SECONDS = 8.0
ALL = frozenset((*FAULTS, SUBSCRIBERS))


class SeedTests(HuntTestCase):
    """Nothing twice, in order, in its place; and everything, when nothing fails any more."""

    def check(self, seeds: Iterable[int], mode: str = LEADER, faults: frozenset[str] = ALL) -> None:
        """These seeds break no rule."""
        for seed in seeds:
            outcome = run(seed, 3 if seed % 2 else 5, SECONDS, faults, mode=mode)
            self.assertIsNone(outcome.violation, f"seed {seed}")

    def test_all_faults(self) -> None:
        """Crashes, partitions, connections that overlap, messages that come twice."""
        self.check(range(1, 11))

    def test_classic_mode(self) -> None:
        """The same where nobody leads."""
        self.check(range(11, 16), CLASSIC)

    def test_modes_that_change(self) -> None:
        """And where nodes change their mode, one after the other."""
        self.check(range(16, 19), MIXED)

    def test_no_faults(self) -> None:
        """Where nothing fails, everything is delivered."""
        self.check(range(19, 22), faults=frozenset((SUBSCRIBERS,)))


class PlantedTests(HuntTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def check_planted(self, *words: str, faults: Iterable[str] = FAULTS) -> None:
        """The bug that the test is named after is found, and its sentence has one of ``words``."""
        name = self._testMethodName.removeprefix("test_")
        self.check_found(name, AUDIENCE[name], words, faults=(*faults, SUBSCRIBERS))

    def test_numbers_not_looked_at(self) -> None:
        """A message that comes twice is delivered twice."""
        self.check_planted("twice", "behind a later")

    def test_only_the_newest_is_looked_at(self) -> None:
        """An old message is delivered behind a newer one."""
        self.check_planted("twice", "behind a later")

    def test_effect_not_in_place(self) -> None:
        """A subscriber is told of a write that nobody can read yet."""
        self.check_planted("before the write in front of it")

    def test_counts_kept_of_a_node_that_is_gone(self) -> None:
        """Whoever counts servers by their subscribers waits for one that is gone."""
        self.check_planted("and count")

    def test_counts_told_once(self) -> None:
        """A message that is lost leaves a node with wrong counts for ever."""
        self.check_planted("and count")

    def test_counts_of_an_earlier_life(self) -> None:
        """Subscribers are counted that were connected to a process which has ended."""
        self.check_planted("and count")

    def test_a_pattern_for_each_length(self) -> None:
        """One message comes several times for one pattern."""
        self.check_planted("twice")

    def test_subscribers_of_others_alone(self) -> None:
        """Who has subscribed to a channel gets nothing from other nodes."""
        self.check_planted("does not reach all")

    def test_slow_subscribers_are_kept(self) -> None:
        """A client that does not read takes the memory of its node."""
        self.check_planted("was not cut off")

    def test_all(self) -> None:
        """A planted bug without a test here would prove nothing."""
        tested = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        self.assertEqual(AUDIENCE.keys(), tested - {"all"})
