"""The tail of the log: which slots stay, which may be erased, and what is known of both after a restart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import Ballot
from dkv.keys import COMPACTED, pack_compacted, record_key
from dkv.paxos import tail as tail_module
from dkv.paxos.tail import BLOCKS, HELD_TIMES, Tail
from dkv.records import NO_DIGEST, Batch, SlotRecord, Value, digest_after, pack_record, value_bytes
from dkv.settings import Limits
from tests.turns import FakeTurn

SLOTS = 2 * BLOCKS
"""A tail of so many slots has blocks of two."""


def value(number: int, size: int = 1) -> Value:
    """A value of one batch."""
    return Value((Batch(2, 0xB2, 1, number, b"x" * size),))


class TailTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.begin(Limits(poll_lag_slots_max=1, log_tail_slots_max=SLOTS))

    def begin(self, limits: Limits) -> None:
        """The tail of an empty log."""
        self.tail = Tail(limits)
        self.tail.start(self.turn, 0)
        self.through, self.digests = 0, [NO_DIGEST]

    def apply(self, slots: int, size: int = 1) -> None:
        """Apply so many slots, whose records are on disk."""
        for _ in range(slots):
            self.through += 1
            applied = value(self.through, size)
            self.digests.append(digest_after(self.digests[-1], applied))
            self.turn.persist(record_key(self.through), pack_record(SlotRecord(Ballot(1, 1), applied)))
            self.tail.add(value_bytes(applied), self.digests[-1])

    def compact(self, written_through: int | None = None) -> int | None:
        """Compact, with everything written back or only so much."""
        self.turn.take()
        return self.tail.compact(self.turn, self.through if written_through is None else written_through)

    def test_the_mark_and_its_digest_are_persisted(self) -> None:
        """The next start checks the rest of the log from there: another digest would call a whole log damaged."""
        self.apply(SLOTS + 2)
        self.assertEqual(self.compact(), 2)
        self.assertEqual(self.turn.persisted, {COMPACTED: pack_compacted(2, self.digests[2])})
        self.assertIsNone(self.compact(), "once")
        self.assertEqual(self.turn.persisted, {})

    def test_the_tail_stays(self) -> None:
        """A peer that missed a few slots must find them: else every restart of a node would cost a snapshot."""
        self.apply(SLOTS + 1)
        self.assertIsNone(self.compact())
        self.apply(8)
        self.assertEqual(self.compact(), 8)

    def test_counted_in_bytes_too(self) -> None:
        """With large values, so many slots may be more than the disk."""
        self.begin(Limits(log_tail_bytes_max=SLOTS * value_bytes(value(1, 100))))
        self.apply(SLOTS + 1, 100)
        self.assertIsNone(self.compact())
        self.apply(3, 100)
        self.assertEqual(self.compact(), 4)

    def test_a_block_of_one_large_value(self) -> None:
        """A value larger than a block, or than the whole tail, is a block by itself."""
        self.begin(Limits(log_tail_bytes_max=100))
        self.apply(1, 1_000)
        self.assertIsNone(self.compact())
        self.apply(1, 1_000)
        self.assertEqual(self.compact(), 1)

    def test_never_beyond_what_is_written_back(self) -> None:
        """What is erased before the state holds it is lost with the next crash (B11)."""
        self.apply(2 * SLOTS)
        self.assertIsNone(self.compact(1))
        self.assertEqual(self.compact(5), 4)
        self.assertEqual(self.compact(), SLOTS)

    def test_held(self) -> None:
        """A node that is sent a view of the state needs the slots behind the view, or it could begin again."""
        self.apply(2 * SLOTS)
        self.tail.hold(6)
        self.assertEqual(self.compact(), 6)
        self.apply(20)
        self.assertIsNone(self.compact())
        self.tail.hold(None)
        self.assertEqual(self.compact(), SLOTS + 20)

    def test_held_within_bounds(self) -> None:
        """A receiver that hangs must not fill the disks of those that serve."""
        self.tail.hold(0)
        self.apply(HELD_TIMES * SLOTS)
        self.assertIsNone(self.compact())
        self.apply(2)
        self.assertEqual(self.compact(), 2)

    def test_a_restart(self) -> None:
        """A node that is restarted again and again must not keep its whole log for that."""
        self.apply(SLOTS + 4)
        self.assertEqual(self.compact(), 4)
        self.tail = Tail(Limits(poll_lag_slots_max=1, log_tail_slots_max=SLOTS))
        self.tail.start(self.turn, self.through)
        self.assertIsNone(self.compact())
        self.apply(4)
        self.assertEqual(self.compact(), 8)
        self.assertEqual(self.turn.persisted, {COMPACTED: pack_compacted(8, self.digests[8])})

    def test_a_restart_without_all_that_was_written(self) -> None:
        """The state on disk is older than the log: the slots between are applied again, and counted once."""
        self.apply(SLOTS + 4)
        self.tail.start(self.turn, SLOTS)
        for slot in range(SLOTS + 1, SLOTS + 3):
            self.tail.add(value_bytes(value(slot)), self.digests[slot])
        self.assertEqual(self.compact(), 2)

    def test_a_log_with_a_gap(self) -> None:
        """The check at start has refused it already: to go on would make a digest of another log."""
        self.apply(3)
        del self.turn.stored[record_key(2)]
        self.assertRaises(AssertionError, self.tail.start, self.turn, 3)
        self.assertRaises(AssertionError, self.tail.start, FakeTurn(), 1)

    @given(
        some.lists(some.tuples(some.integers(0, 40), some.integers(0, 30), some.booleans()), max_size=20),
        some.sampled_from((1, 3, 8)),
    )
    def test_any_course(self, steps: list[tuple[int, int, bool]], blocks: int) -> None:
        """Whatever is applied, written back and restarted: a whole tail stays, and little more; nothing is repeated."""
        slots_max = 16
        self.patch(tail_module, "BLOCKS", blocks)
        self.turn = FakeTurn()
        limits = Limits(poll_lag_slots_max=1, log_tail_slots_max=slots_max)
        self.begin(limits)
        compacted = written = 0
        for slots, unwritten, restarts in steps:
            self.apply(slots)
            written = max(written, self.through - unwritten)
            if restarts:
                self.tail = Tail(limits)
                self.tail.start(self.turn, self.through)
            moved = self.compact(written)
            if moved is not None:
                self.assertGreater(moved, compacted)
                compacted = moved
                self.assertEqual(self.turn.stored[COMPACTED], pack_compacted(moved, self.digests[moved]))
            self.assertLessEqual(compacted, min(written, max(self.through - slots_max, 0)))
            if written >= self.through:
                self.assertLess(self.through - compacted, slots_max + 2 * (slots_max // blocks))
