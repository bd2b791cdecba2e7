"""The simulator finds the bugs of classic mode, each planted into the product, within 300 seeds."""

from __future__ import annotations

from dkv.settings import CLASSIC
from dkv.sim.modes import MIXED
from tests.sim import planted_gaps, planted_readiness  # noqa: F401 - importing them registers their plants
from tests.sim.hunt import FOUND, HuntTestCase
from tests.sim.planted_classic import CLASSIC_PLANTS


class PlantedTests(HuntTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def check(self, number: str, *words: str, mode: str = CLASSIC) -> None:
        """The bug is found, and its sentence names what was promised: one of ``words``."""
        self.check_found(number, CLASSIC_PLANTS[number], words, mode)

    def test_b1_reply_before_durable(self) -> None:
        """A promise or vote that a crash undoes."""
        self.check("B1", "I2", "I1", "B12")

    def test_b2_acknowledged_by_one_disk(self) -> None:
        """An acknowledged write that one disk takes with it."""
        self.check("B2", "I7")

    def test_b3_ballot_reused(self) -> None:
        """Two lives under one name, as the first one's reservation was not on disk."""
        self.check("B3", "I5")

    def test_b3_reservation_not_strict(self) -> None:
        """Two lives under one name, though the first one's reservation was on disk."""
        self.check("B3b", "I5", "I3")

    def test_b4_late_promise_counts(self) -> None:
        """A proposer that no quorum promised to."""
        self.check("B4", "I6", "I3")

    def test_b5_accepting_raises_no_promise(self) -> None:
        """A vote below an earlier vote."""
        self.check("B5", "I1", "I3")

    def test_b6_one_ballot_for_both(self) -> None:
        """A proposer that prefers an older value to the chosen one."""
        self.check("B6", "I3")

    def test_b7_accepted_whatever_the_value(self) -> None:
        """A proposer that counts votes for a value where another one is chosen."""
        self.check("B7", "I3", "I2")

    def test_b8_promises_not_read_back(self) -> None:
        """An acceptor that a restart makes forget its promises."""
        self.check("B8", "I1", "I5")

    def test_b8_promises_not_written(self) -> None:
        """An acceptor that has nothing to remember them by."""
        self.check("B8b", "I2")

    def test_b10_read_before_its_batch(self) -> None:
        """A read that shows the past."""
        self.check("B10", "linearizable", FOUND)

    def test_b14_own_value_taken_for_chosen(self) -> None:
        """A node that applies what was never chosen."""
        self.check("B14", "I7")

    def test_b14_offer_of_another_ballot(self) -> None:
        """A node that takes what it refused, or accepted late, for what was chosen."""
        self.check("B14b", "I7")

    def test_b23_own_answer_early(self) -> None:
        """A proposer that counts its own disk before the disk has it."""
        self.check("B23", "I2")

    def test_b26_learned_as_if_accepted(self) -> None:
        """A chosen value in a ballot that did not propose it."""
        self.check("B26", "I7", "I3")

    def test_b26_flag_lost_with_another_ballot(self) -> None:
        """A node that forgets that a slot is chosen as a rival asks for its vote there."""
        self.check("B26b", "I8")

    def test_b26_chosen_slot_left_out(self) -> None:
        """A rival that does not hear of the chosen value from the only one of its quorum who has it."""
        self.check("B26c", "I4", "I3")

    def test_b30_leader_ignores_slots(self) -> None:
        """A leader that overrules what was chosen in classic mode."""
        self.check("B30", "I1", "I3", "I7", "I11", "acceptor failed", mode=MIXED)

    def test_b30_leader_ignores_chosen_slots(self) -> None:
        """A leader that slept through a switch of modes, and serves what was true before it."""
        self.check("B30b", "I1", "I3", "I11", mode=MIXED)

    def test_b31_own_value_always(self) -> None:
        """A proposer that overrules what others may have chosen."""
        self.check("B31", "I6", "I3")

    def test_b41_ready_by_having_heard(self) -> None:
        """A node that clients are sent to, and that reaches no majority."""
        self.check("B41", "B41")

    def test_all(self) -> None:
        """A planted bug without a test here would prove nothing."""
        tested = {name.split("_")[1].upper() for name in dir(self) if name.startswith("test_b")}
        self.assertEqual({number.rstrip("bc") for number in CLASSIC_PLANTS}, tested)
