"""The simulator finds what each of its faults is for, planted into the product, within 300 seeds."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import LEADER
from dkv.sim.plan import FAULTS
from dkv.sim.run import run
from tests.sim.planted_edges import EDGES

SEEDS = 300
SECONDS = 20.0


def find(name: str, mode: str = LEADER, faults: Iterable[str] = FAULTS) -> tuple[int, str]:
    """The first seed that finds the planted bug, and what is broken; clusters of three and of five in turn."""
    with EDGES[name]():
        for seed in range(1, SEEDS + 1):
            violation = run(seed, 3 if seed % 2 else 5, SECONDS, frozenset(faults), mode=mode).violation
            if violation is not None:
                return seed, violation
    raise AssertionError(f"{name} was not found in {SEEDS} seeds: the faults are too tame")


class PlantedTests(SynchronousTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    timeout = 600

    def check(self, *words: str, mode: str = LEADER, faults: Iterable[str] = FAULTS) -> None:
        """The bug that the test is named after is found, and its sentence has one of ``words``."""
        seed, violation = find(self._testMethodName.removeprefix("test_"), mode, faults)
        self.assertTrue(any(word in violation for word in words), f"seed {seed}: {violation}")

    def test_b19_no_poll(self) -> None:
        """One node that does not hear the leader, and is heard, forces one election after the other (B19)."""
        self.check("electing leaders")

    def test_barrier_of_an_earlier_boot(self) -> None:
        """A read that shows what was before the node's restart, though others have written since."""
        self.check("linearizable", "I11", faults=("crash", "flap", "past-life", "rotation"))

    def test_first_batch_of_a_lower_boot(self) -> None:
        """A write of a life that is over takes effect a second time, or after those of the next life."""
        self.check("I9", "I10", "linearizable", "failed")

    def test_turns_left_over(self) -> None:
        """A request that waits for the next one, or for ever: a limit of 2,000 turns that no small cluster reaches."""
        self.check("did not answer", "never answered", "not answered", "nobody came", "healed")

    def test_never_reads_again(self) -> None:
        """A node that a slow disk has made deaf for ever: a limit of 64 MiB that no simulated disk reaches."""
        self.check("did not answer", "never answered", "not answered", "nobody came", "healed")

    def test_caught_up_is_promised(self) -> None:
        """A leader that no quorum promised to, as what it was to catch up with for another ballot has come."""
        self.check("I6")

    def test_b12_votes_before_it_has_met_everybody(self) -> None:
        """A vote that a lost disk takes with it while a member is still to come that knows nothing of it."""
        self.check("B12")

    def test_waits_for_a_leader_it_knew(self) -> None:
        """A cluster that a power cut ends for good."""
        self.check("nobody came to lead", "never answered", "not answered", "healed")

    def test_all(self) -> None:
        """A planted bug without a test here would prove nothing."""
        tested = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        self.assertEqual(EDGES.keys(), tested - {"all"})
