"""The acceptor's log: records, and how far the contiguous prefix of chosen ones reaches, across restarts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import ZERO, Ballot
from dkv.keys import CHOSEN_THROUGH, COMPACTED, RECORD, pack_compacted, pack_number, record_key
from dkv.paxos import slot_log
from dkv.paxos.slot_log import APPLIED_BYTES_MAX, SLOT_BYTES, SlotLog
from dkv.records import Batch, SlotRecord, Value, value_bytes
from tests.turns import FakeTurn

B1, B2 = Ballot(1, 1), Ballot(2, 2)


def value(number: int, size: int = 1) -> Value:
    """A value of one batch."""
    return Value((Batch(2, 0xB2, 1, number, b"x" * size),))


class LogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.log = SlotLog(2)
        self.log.start(self.turn)

    def restart(self, lose_staged: bool = False) -> None:
        """Another life on what is stored; the mark that was only staged may be older."""
        if lose_staged and CHOSEN_THROUGH in self.turn.staged and CHOSEN_THROUGH not in self.turn.persisted:
            self.turn.stored.pop(CHOSEN_THROUGH)
        self.turn = FakeTurn(stored=self.turn.stored)
        self.log = SlotLog(2)
        self.log.start(self.turn)

    def test_extends_over_what_the_mark_covers(self) -> None:
        """Slot after slot, each accepted in the mark's own ballot (B14, B25)."""
        for slot, ballot in ((1, B2), (2, B2), (3, B1), (4, B2)):
            self.log.accept(self.turn, slot, ballot, value(slot))
        self.log.mark(self.turn, B2, 4)
        self.assertEqual(self.log.chosen_through, 2)
        self.log.accept(self.turn, 3, B2, value(3))
        self.log.mark(self.turn, B2, 4)
        self.assertEqual(self.log.chosen_through, 4)

    def test_an_old_mark_after_a_new_one(self) -> None:
        """Marks come late: those of an older ballot take nothing back, and cover nothing of the newer one."""
        self.log.accept(self.turn, 1, B2, value(1))
        self.log.mark(self.turn, B2, 0)
        self.log.mark(self.turn, B1, 5)
        self.assertEqual(self.log.chosen_through, 0)
        self.assertEqual(self.log.marked_through, 5)

    def test_b25_two_ballots_of_one_round(self) -> None:
        """Two leaders may have counted in the same round: the mark of one says nothing of what the other proposed."""
        one, two = Ballot(2, 1), Ballot(2, 2)
        self.log.accept(self.turn, 1, two, value(1))
        self.log.mark(self.turn, one, 5)
        self.assertEqual(self.log.chosen_through, 0)
        self.log.mark(self.turn, two, 1)
        self.assertEqual(self.log.chosen_through, 1)

    def test_chosen_is_another_value(self) -> None:
        """The word that another ballot's value is chosen replaces the one that was accepted here; its own is not."""
        self.log.accept(self.turn, 1, B1, value(1))
        self.log.accept(self.turn, 2, B1, value(2))
        self.turn.take()
        self.assertTrue(self.log.choose(self.turn, 1, value(1)))
        self.assertEqual(self.turn.persisted, {})
        self.assertTrue(self.log.choose(self.turn, 2, value(7)))
        self.assertEqual(self.log.chosen_values(self.turn, 1, 10_000), (value(1), value(7)))
        self.assertFalse(self.log.choose(self.turn, 2, value(2)))

    def test_learning_closes_a_gap(self) -> None:
        """What was fetched counts at once, and what stands behind it."""
        self.log.accept(self.turn, 2, B2, value(2))
        self.log.mark(self.turn, B2, 2)
        self.assertTrue(self.log.learn(self.turn, 1, value(1)))
        self.assertEqual(self.log.chosen_through, 2)
        self.assertEqual(self.log.chosen_values(self.turn, 1, 10_000), (value(1), value(2)))

    def test_learning_keeps_the_ballot(self) -> None:
        """A record's ballot never falls, and learning is no vote."""
        self.log.accept(self.turn, 1, B2, value(1))
        self.log.learn(self.turn, 1, value(7))
        self.assertEqual(self.log.record(self.turn, 1), SlotRecord(B2, value(7), chosen=True))
        self.log.learn(self.turn, 5, value(5))
        self.assertEqual(self.log.accepted_in(5), ZERO)
        self.assertFalse(self.log.learn(self.turn, 1, value(8)))

    def test_bounded_answers(self) -> None:
        """A catch-up answer fits its limit, and has at least one value (B17)."""
        self.patch(slot_log, "SLOT_BYTES", 0)
        for slot in (1, 2, 3):
            self.log.learn(self.turn, slot, value(slot, 100))
        self.assertEqual(len(self.log.chosen_values(self.turn, 1, 300)), 2)
        self.assertEqual(len(self.log.chosen_values(self.turn, 1, 1)), 1)
        two = value_bytes(value(1, 100)) * 2
        self.assertEqual([len(self.log.chosen_values(self.turn, 1, size)) for size in (two - 1, two)], [1, 2])
        self.assertEqual(self.log.chosen_values(self.turn, 4, 300), ())

    def test_slots_without_batches_are_bounded_too(self) -> None:
        """Slots for deadlines have no batches, and each of them erases: thousands in one turn would stop a node."""
        for slot in range(1, 101):
            self.log.learn(self.turn, slot, Value((), slot))
        self.assertEqual(len(self.log.values_to_apply(self.turn, 1)), APPLIED_BYTES_MAX // SLOT_BYTES)
        self.assertEqual(len(self.log.chosen_values(self.turn, 1, 10 * SLOT_BYTES)), 10)

    def test_b8_b11_a_restart_without_the_staged_mark(self) -> None:
        """The mark may be older on disk than in memory; the records are not."""
        for slot in (1, 2, 3):
            self.log.accept(self.turn, slot, B2, value(slot))
        self.log.mark(self.turn, B2, 2)
        self.restart(lose_staged=True)
        self.assertEqual((self.log.chosen_through, self.log.open_slots(1)), (0, [1, 2, 3]))
        self.log.applied(self.turn, 2)
        self.assertEqual((self.log.chosen_through, self.log.open_slots(1)), (2, [3]))
        self.assertEqual(self.log.accepted_in(3), B2)

    def test_a_restart_extends_over_what_was_learned(self) -> None:
        """What the records say is chosen is chosen, whatever the mark on disk says: nobody need tell it again."""
        for slot in (1, 2, 4):
            self.log.learn(self.turn, slot, value(slot))
        self.restart(lose_staged=True)
        self.assertEqual((self.log.chosen_through, self.log.open_slots(1)), (2, [4]))

    def test_what_is_applied_closes_a_gap(self) -> None:
        """Slots that were learned above it become part of the prefix in the same turn."""
        self.log.learn(self.turn, 3, value(3))
        self.log.accept(self.turn, 1, B2, value(1))
        self.log.accept(self.turn, 2, B2, value(2))
        self.log.applied(self.turn, 2)
        self.assertEqual((self.log.chosen_through, self.log.open_slots(1)), (3, []))

    def test_compacted(self) -> None:
        """What is erased stays chosen, is never read or compared, and is never put back."""
        for slot in range(1, 5):
            self.log.learn(self.turn, slot, value(slot))
        self.turn.persist(COMPACTED, pack_compacted(3, bytes(16)))
        self.log.compact(self.turn, 3)
        while self.log.erasures:
            self.log.erasures.erase_some(self.turn)
        for restarts in (False, True):
            if restarts:
                self.restart(lose_staged=True)
            self.assertEqual((self.log.compacted_through, self.log.chosen_through), (3, 4))
            self.assertTrue(self.log.is_chosen(2))
            self.assertTrue(self.log.learn(self.turn, 2, value(9)))
            self.assertTrue(self.log.choose(self.turn, 2, value(9)))
            self.assertEqual([self.log.record(self.turn, slot) is None for slot in (2, 3, 4)], [True, True, False])
            self.assertEqual(self.log.chosen_values(self.turn, 4, 1_000), (value(4),))
            self.assertRaises(AssertionError, self.log.chosen_values, self.turn, 3, 1_000)

    def test_compacted_beyond_what_is_chosen(self) -> None:
        """The state of a peer made up for slots that were open here: what was accepted there binds nobody any more."""
        for slot in (1, 2, 4, 5, 6):
            self.log.accept(self.turn, slot, B2, value(slot))
        self.log.learn(self.turn, 7, value(7))
        self.log.compact(self.turn, 6)
        self.assertEqual((self.log.chosen_through, self.log.open_slots(1)), (7, []))
        self.assertEqual(self.turn.staged[CHOSEN_THROUGH], pack_number(7))
        while self.log.erasures:
            self.log.erasures.erase_some(self.turn)
        self.assertEqual([key for key in self.turn.stored if key[:1] == RECORD], [record_key(7)])
        self.log.compact(self.turn, 5)
        self.assertEqual(self.log.compacted_through, 6)

    def test_no_memory_for_what_is_compacted(self) -> None:
        """Values in memory that nobody can ask for any more would push those out that peers ask for."""
        for slot in (1, 2, 3):
            self.log.learn(self.turn, slot, value(slot))
        self.log.compact(self.turn, 2)
        self.assertEqual(list(self.log._recent), [3])
        self.assertEqual(self.log._recent_bytes, value_bytes(value(3)))

    @given(some.lists(some.tuples(some.sampled_from("aml"), some.integers(1, 5), some.integers(1, 3)), max_size=30))
    def test_any_order(self, steps: list[tuple[str, int, int]]) -> None:
        """Whatever comes in whatever order: the prefix is chosen, its values stay, and a restart shows the same."""
        self.setUp()
        seen: dict[int, Value] = {}
        for kind, slot, number in steps:
            ballot = Ballot(number, 1)
            if kind == "a" and not self.log.is_chosen(slot) and ballot >= self.log.accepted_in(slot):
                self.log.accept(self.turn, slot, ballot, value(slot))
            elif kind == "m":
                self.log.mark(self.turn, ballot, slot)
            elif kind == "l":
                self.log.learn(self.turn, slot, value(slot))
            self.log.save_mark(self.turn)
            values = self.log.chosen_values(self.turn, 1, 10_000)
            self.assertEqual(len(values), self.log.chosen_through)
            for at, held in enumerate(values, 1):
                self.assertEqual(seen.setdefault(at, held), held)
        through = self.log.chosen_through
        self.restart()
        self.assertEqual(self.log.chosen_through, through)
