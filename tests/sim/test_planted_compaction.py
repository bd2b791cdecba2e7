"""The simulator finds bugs of compaction, each planted into the product, within 300 seeds."""

from __future__ import annotations

from dkv.settings import CLASSIC, LEADER
from tests.sim.hunt import HuntTestCase
from tests.sim.planted_compaction import COMPACTION


class PlantedTests(HuntTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def check(self, *words: str, mode: str = LEADER) -> None:
        """The bug that the test is named after is found, and its sentence has one of ``words``."""
        name = self._testMethodName.removeprefix("test_")
        self.check_found(name, COMPACTION[name], words, mode)

    def test_compacted_to_what_is_chosen(self) -> None:
        """A crash loses what was chosen and not yet written back: acknowledged writes are gone from this node."""
        self.check("erased the record")

    def test_compacted_to_what_is_applied(self) -> None:
        """The state on disk is older than the log that is left: what is between is lost with a crash."""
        self.check("its state on disk is that of slot")

    def test_compacted_reported_as_empty(self) -> None:
        """A leader fills slots anew that were chosen: another history (B13)."""
        self.check("and its Promise says", "I4", "I3", "I6")

    def test_compacted_slot_is_promised(self) -> None:
        """The same in classic mode: a proposer puts its own value where another one is chosen (B13)."""
        self.check("whose record it has erased", "I4", "I3", "I6", mode=CLASSIC)

    def test_erased_slots_are_called_chosen_otherwise(self) -> None:
        """A late Accept ends a healthy lead: an outage of a second or two, again and again."""
        self.check("which is not so")

    def test_erased_before_the_mark(self) -> None:
        """A crash between the two leaves a log that looks damaged: the node refuses to start."""
        self.check("erased the record", "has lost slot")

    def test_digest_of_the_tail_alone(self) -> None:
        """At its next start the node finds that its log is not the one that it applied, and refuses to go on."""
        self.check("the digest of another log", "come to another digest")
