"""Batches on their way into slots."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from dkv.messages import Want
from dkv.paxos.batch_queue import JOINED_BYTES_MAX, BatchQueue, slot_bytes_max
from dkv.records import Batch, Value, value_bytes
from dkv.settings import Limits


def batch(boot: int, seq: int, size: int = 3, incarnation: int = 0xB2) -> Batch:
    """A batch of node 2."""
    return Batch(2, incarnation, boot, seq, b"x" * size)


class QueueTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.queue = BatchQueue(((2, 0xB2, 3, 7),))

    def test_b28_only_the_next_is_taken(self) -> None:
        """A batch that overtakes another is skipped by every learner, and its writes with it."""
        self.assertEqual(self.queue.take(batch(3, 9)), Want(3, 8))
        self.assertFalse(self.queue)
        self.assertIsNone(self.queue.take(batch(3, 8)))
        self.assertIsNone(self.queue.take(batch(3, 9)))
        self.assertEqual([each.seq for each in self.queue.next_value(10_000).batches], [8, 9])

    def test_seen_in_the_log(self) -> None:
        """A batch that is recovered while the queue lives is done for its origin, which sends the one after it."""
        self.queue.saw(batch(3, 8))
        self.assertIsNone(self.queue.take(batch(3, 8)))
        self.assertFalse(self.queue)
        self.assertIsNone(self.queue.take(batch(3, 9)))
        self.assertTrue(self.queue)
        self.queue.saw(batch(4, 1))
        self.assertEqual(
            self.queue.take(batch(4, 3)), Want(4, 2), "a later life, and the batches before it are given up"
        )

    def test_seen_and_skipped(self) -> None:
        """One that comes too early in the log takes no effect: its origin sends it again, and it must be taken."""
        self.queue.saw(batch(3, 9))
        self.assertEqual(self.queue.take(batch(3, 9)), Want(3, 8))
        self.assertIsNone(self.queue.take(batch(3, 8)))
        self.queue.saw(batch(3, 9))  # proposed before number 8, which waits here
        self.assertIsNone(self.queue.take(batch(3, 9)))
        self.assertEqual([each.seq for each in self.queue.next_value(10_000).batches], [8, 9])

    def test_seen_while_it_waits(self) -> None:
        """It is proposed where it was found, and so is the one behind it: the origin goes on, and must not be asked."""
        self.queue.take(batch(3, 8))
        self.queue.saw(batch(3, 8))
        self.assertFalse(self.queue)
        self.queue.saw(batch(3, 9))
        self.assertIsNone(self.queue.take(batch(3, 10)))
        self.assertEqual([each.seq for each in self.queue.next_value(10_000).batches], [10])

    @given(some.lists(some.tuples(some.sampled_from(("take", "propose", "find")), some.integers(1, 9)), max_size=30))
    def test_an_origin_is_never_stuck(self, steps: list[tuple[str, int]]) -> None:
        """Whatever is found late, and when: all learners come to number 9 if the origin sends again what is missing."""
        queue, log = BatchQueue(()), [0]

        def propose(value: Value) -> None:
            for each in value.batches:
                log.append(log[-1] + (each.seq == log[-1] + 1))  # learners skip all but the next

        for step, seq in steps:
            if step == "take":
                queue.take(batch(1, seq))
            elif step == "propose" and queue:
                propose(queue.next_value(1))
            elif step == "find":
                queue.saw(batch(1, seq))
                propose(Value((batch(1, seq),)))
        for _ in range(9):
            while queue:
                propose(queue.next_value(1))
            for seq in range(log[-1] + 1, 10):
                queue.take(batch(1, seq))
        self.assertEqual(log[-1], 9)

    def test_a_repeat_is_dropped(self) -> None:
        """A resent batch must not be proposed twice, nor answered with a request that never ends."""
        for repeat in (batch(3, 7), batch(3, 1), batch(2, 99)):
            self.assertIsNone(self.queue.take(repeat))
        self.assertFalse(self.queue)

    def test_what_was_taken(self) -> None:
        """A proposer that does not know what is applied proposes it again, for nothing."""
        for taken in (batch(3, 7), batch(3, 1), batch(2, 99)):
            self.assertTrue(self.queue.took(taken))
        for later in (batch(3, 8), batch(4, 1), batch(3, 1, incarnation=0xC2)):
            self.assertFalse(self.queue.took(later))
            self.queue.take(later)
            self.assertTrue(self.queue.took(later))

    def test_two_slots_fit_a_window(self) -> None:
        """A window that one slot fills up lets no slot be under way while another is written."""
        self.assertEqual(slot_bytes_max(Limits(window_bytes_max=1001)), 500)

    def test_only_small_batches_share_a_slot(self) -> None:
        """All nodes apply a slot without a pause: batches of thousands of tiny writes must not come together in one."""
        self.assertEqual(slot_bytes_max(Limits()), JOINED_BYTES_MAX)
        for seq in range(8, 18):
            self.queue.take(batch(3, seq, JOINED_BYTES_MAX // 4))
        sizes = [len(self.queue.next_value(slot_bytes_max(Limits())).batches) for _ in range(4)]
        self.assertEqual(sizes, [3, 3, 3, 1])

    def test_a_new_boot_begins_at_one(self) -> None:
        """A node that was restarted counts anew; what its earlier life left unfinished is given up."""
        self.assertEqual(self.queue.take(batch(4, 2)), Want(4, 1))
        self.assertIsNone(self.queue.take(batch(4, 1)))
        self.assertIsNone(self.queue.take(batch(3, 8)))
        self.assertEqual(len(self.queue.next_value(10_000).batches), 1)

    def test_b16_origins_are_told_apart(self) -> None:
        """A replaced node has the id of another's batches, and must not continue their count."""
        self.assertEqual(self.queue.take(batch(3, 8, incarnation=0xC2)), Want(3, 1))

    @given(some.lists(some.integers(0, 50), min_size=1, max_size=20), some.integers(1, 300))
    def test_values_fit(self, sizes: list[int], limit: int) -> None:
        """A slot holds as many as fit, in order, and at least one."""
        queue = BatchQueue(())
        for seq, size in enumerate(sizes, 1):
            queue.take(batch(1, seq, size))
        taken: list[Batch] = []
        while queue:
            value = queue.next_value(limit)
            self.assertTrue(len(value.batches) == 1 or value_bytes(value) <= limit)
            taken.extend(value.batches)
        self.assertEqual([(each.seq, len(each.blob)) for each in taken], list(enumerate(sizes, 1)))

    def test_as_many_as_fit(self) -> None:
        """A limit that is reached exactly is kept; each slot less is a round of messages and a commit less."""
        two = value_bytes(Value((batch(1, 1), batch(1, 2))))
        for limit, expected in ((two - 1, 1), (two, 2), (two + 1, 2)):
            queue = BatchQueue(())
            for seq in (1, 2, 3):
                queue.take(batch(1, seq))
            self.assertEqual(len(queue.next_value(limit).batches), expected)
