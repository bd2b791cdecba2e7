"""Batches on their way into slots: of each origin only the next one is taken, in order (B28)."""

from __future__ import annotations

from collections import deque

from dkv.messages import Want
from dkv.records import Batch, Value, batch_bytes, follows
from dkv.settings import KIB, Limits

JOINED_BYTES_MAX = 32 * KIB
"""Batches share a slot up to this many bytes. Small batches gain by it; a large one has a slot of its own.

Every node applies a slot without a pause, and this is thousands of the shortest commands.
"""


def slot_bytes_max(limits: Limits) -> int:
    """Up to how many bytes batches share a slot: half a window at most, so that another slot can be under way."""
    return min(JOINED_BYTES_MAX, limits.slot_bytes_max, limits.window_bytes_max // 2)


class BatchQueue:
    """The batches that were taken and not proposed yet, and the number of the last one taken of every origin.

    An origin is (node, incarnation). Its mark is (boot, seq), as the state machine keeps it.
    """

    def __init__(self, marks: tuple[tuple[int, int, int, int], ...]) -> None:
        self._marks = {(node, incarnation): (boot, seq) for node, incarnation, boot, seq in marks}
        self._queue: deque[Batch] = deque()

    def took(self, batch: Batch) -> bool:
        """Whether this batch was taken, or given up for a later one of its origin."""
        return (batch.boot, batch.seq) <= self._marks.get((batch.node, batch.incarnation), (0, 0))

    def take(self, batch: Batch) -> Want | None:
        """Queue the batch if it is its origin's next, and drop a repeat; otherwise the answer says which is wanted."""
        origin = (batch.node, batch.incarnation)
        mark = self._marks.get(origin, (0, 0))
        if follows(mark, batch.boot, batch.seq):
            self._marks[origin] = (batch.boot, batch.seq)
            self._queue.append(batch)
        elif (batch.boot, batch.seq) > mark:
            return Want(batch.boot, mark[1] + 1 if batch.boot == mark[0] else 1)
        return None

    def saw(self, batch: Batch) -> None:
        """A batch is proposed that was not taken from here: an earlier leader's, in a slot that is found only now.

        If it is its origin's next in the log, it takes effect, and its origin does not send it again: it need not wait
        here, and the one behind it is the next. While one before it waits here it is not the next. Then it will be
        skipped in that slot, and stays here, or is taken once it is sent again.
        """
        origin = (batch.node, batch.incarnation, batch.boot)
        waiting = [each for each in self._queue if (each.node, each.incarnation, each.boot) == origin]
        if waiting and waiting[0].seq == batch.seq:
            self._queue.remove(waiting[0])
        elif not waiting and follows(self._marks.get(origin[:2], (0, 0)), batch.boot, batch.seq):
            self._marks[origin[:2]] = (batch.boot, batch.seq)

    def __bool__(self) -> bool:
        return bool(self._queue)

    def next_value(self, slot_bytes_max: int, stamp: int = 0) -> Value:
        """The batches for one slot, with its stamp: the oldest ones, as many as fit, but at least one."""
        batches = [self._queue.popleft()]
        size = batch_bytes(batches[0])
        while self._queue:
            size += batch_bytes(self._queue[0])
            if size > slot_bytes_max:
                break
            batches.append(self._queue.popleft())
        return Value(tuple(batches), stamp)
