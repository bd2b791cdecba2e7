"""The simulator finds what each of its faults is for, planted into the product, within 300 seeds."""

from __future__ import annotations

from collections.abc import Iterable

from dkv.sim.plan import FAULTS
from tests.sim.hunt import HuntTestCase
from tests.sim.planted_edges import EDGES


class PlantedTests(HuntTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def check(self, *words: str, faults: Iterable[str] = FAULTS) -> None:
        """The bug that the test is named after is found, and its sentence has one of ``words``."""
        name = self._testMethodName.removeprefix("test_")
        self.check_found(name, EDGES[name], words, faults=faults)

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

    def test_written_back_at_once(self) -> None:
        """After a power cut the state amounts to slots that no log has: the node does not start again."""
        self.check("ahead of its log", "has lost slot")

    def test_never_reads_again(self) -> None:
        """A node that a slow disk has made deaf for ever: a limit of 64 MiB that no simulated disk reaches."""
        self.check("did not answer", "never answered", "not answered", "nobody came", "healed")

    def test_caught_up_is_promised(self) -> None:
        """A leader that no quorum promised to, as what it was to catch up with for another ballot has come."""
        self.check("I6", "a lead begins with a quorum of promises")

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
