"""The simulator finds the bugs that other systems had, each planted into the product, within 300 seeds."""

from __future__ import annotations

from tests.sim import planted_clients, planted_readiness, planted_tokens  # noqa: F401 - imported for their plants
from tests.sim.hunt import RESULTS, HuntTestCase
from tests.sim.planted import PLANTS


class PlantedTests(HuntTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def check(self, number: str, *words: str) -> None:
        """The bug is found, and its sentence names what was promised: one of ``words``."""
        self.check_found(number, PLANTS[number], words)

    def test_b1_reply_before_durable(self) -> None:
        """A promise or vote that a crash undoes: two leaders' values for one slot."""
        self.check("B1", "I2", "I1")

    def test_b2_acknowledged_by_one_disk(self) -> None:
        """An acknowledged write that one disk takes with it."""
        self.check("B2", "majority", "I7")

    def test_b3_ballot_reused(self) -> None:
        """Two leaderships under one name."""
        self.check("B3", "I5")

    def test_b4_late_promise_counts(self) -> None:
        """A leader that no quorum promised to."""
        self.check("B4", "I5", "I6", "I3")

    def test_b5_accepting_raises_no_promise(self) -> None:
        """A vote below an earlier vote."""
        self.check("B5", "I1", "acceptor failed", "has forgotten votes")

    def test_b6_one_ballot_for_both(self) -> None:
        """A new leader that prefers an older value to the chosen one."""
        self.check("B6", "I3")

    def test_b8_state_not_read_back(self) -> None:
        """An acceptor that a restart makes forget its promise."""
        self.check("B8", "I1")

    def test_b10_reads_without_a_quorum(self) -> None:
        """A deposed leader that shows the past."""
        self.check("B10", "I11")

    def test_b11_mark_and_data_apart(self) -> None:
        """Writes that a crash skips for ever."""
        self.check("B11", "I9")

    def test_b12_lost_disk_votes(self) -> None:
        """A node that votes against what it had promised before it lost its disk."""
        self.check("B12", "its disk was lost", "I5", "I6", "I10")

    def test_b14_older_value_taken_for_chosen(self) -> None:
        """A node that applies what was never chosen."""
        self.check("B14", "I7")

    def test_b15_duplicate_by_the_highest_op(self) -> None:
        """A write in flight that another one's number makes a repeat: acknowledged and lost."""
        self.check("B15", "I9", "I10", "was answered", "linearizable")

    def test_b15_table_not_loaded(self) -> None:
        """A retry across a restart that is executed again."""
        self.check("B15b", "I9", "I10", "linearizable")

    def test_b15_answered_at_the_gateway(self) -> None:
        """A retry on another node that is executed again there."""
        self.check("B15c", "I9", "I10", "linearizable", "is counted and not stored")

    def test_b15_ops_of_evicted_kept(self) -> None:
        """A producer that comes back and is taken for the one that was forgotten: every node ends itself."""
        self.check("B15d", "is counted and not stored", "I9")

    def test_b15_order_within_a_slot_lost(self) -> None:
        """Nodes that forget different producers, as some were started again."""
        self.check("B15e", "I9")

    def test_b15_marks_of_own_batches_only(self) -> None:
        """A node that was started again and applies a batch of others a second time."""
        self.check("B15f", "I9")

    def test_b15_answered_as_another_write(self) -> None:
        """A write that is acknowledged and was never executed."""
        self.check("B15g", "linearizable", "was answered", RESULTS)

    def test_b16_taken_for_mine(self) -> None:
        """Clients acknowledged for each other's writes."""
        self.check("B16", "acknowledge", "I10", "gateway failed")

    def test_b23_own_answer_early(self) -> None:
        """A leader that counts its own disk before the disk has it."""
        self.check("B23", "I2")

    def test_b24_promise_from_a_slot_on(self) -> None:
        """A promise that a later one takes back for some slots."""
        self.check("B24", "I1", "I3")

    def test_b25_learners_mark_announced(self) -> None:
        """Followers that mark their own older value chosen."""
        self.check("B25", "announced")

    def test_b26_learned_without_chosen(self) -> None:
        """A chosen value that a later phase 1 overrules."""
        self.check("B26", "I7", "I3")

    def test_b27_confirmed_without_asking(self) -> None:
        """A read round that asked nobody."""
        self.check("B27", "I11")

    def test_b28_numbered_batch_given_up(self) -> None:
        """A node whose writes are never next again."""
        self.check("B28", "gateway failed", "I10", "healed")

    def test_b28_batch_number_reused(self) -> None:
        """A write acknowledged that another one's number carried."""
        # B50's rule counts the numbers of batches, and goes wrong by it: it must not be the only one that does.
        self.check("B28b", "two batches", "gateway failed", "I10", "was answered", "B50")

    def test_b29_erased_at_once(self) -> None:
        """A replay that computes another answer than the other nodes did."""
        self.check("B29", "I9")

    def test_b41_ready_by_having_heard(self) -> None:
        """A node that clients are sent to, and that reaches no leader."""
        self.check("B41", "B41")

    def test_b41_answers_of_anybody(self) -> None:
        """The same, where the leader answers to others."""
        self.check("B41b", "B41")

    def test_b42_reads_overtake_writes(self) -> None:
        """A client that does not see what it has just written."""
        self.check("B42", "places among all that its client sent")

    def test_b42_writes_overtake_reads(self) -> None:
        """A client that sees what it wrote only afterwards."""
        self.check("B42b", "places among all that its client sent")

    def test_b43_deletes_not_counted(self) -> None:
        """A client that deletes several keys and is told of one."""
        self.check("B43", "was told that 1 of them existed", RESULTS)

    def test_all(self) -> None:
        """A planted bug without a test here would prove nothing."""
        tested = {name.split("_")[1].upper() for name in dir(self) if name.startswith("test_b")}
        self.assertEqual({number.rstrip("bcdefg") for number in PLANTS}, tested)
