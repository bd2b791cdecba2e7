"""The batches of one node that have a number and were not applied here yet.

A number stands for its bytes for ever: a numbered batch is never changed and never given up, since it may be chosen at
any time, and every later batch of this node waits for it (B28). Only a node that was removed gives its batches up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from dkv.gateway.runs import Run, weigh_at_least
from dkv.identity import Identity
from dkv.messages import Submit
from dkv.records import Batch, Entry
from dkv.settings import Limits


@dataclass(slots=True)
class Outstanding:
    """A numbered batch, and the runs whose entries are in it. Times are in monotonic seconds."""

    batch: Batch
    runs: list[Run]
    entries: int
    sent_at: float
    numbered_at: float
    barrier: int
    """The request for a barrier that it answers in classic mode; 0 if none."""


class Batches:
    """Numbers the batches of the node that ``identity`` names; ``encode`` turns entries into a batch's blob."""

    def __init__(self, identity: Identity, limits: Limits, encode: Callable[[list[Entry]], bytes]) -> None:
        self.outstanding: deque[Outstanding] = deque()
        """Oldest first."""
        self._identity = identity
        self._limits = limits
        self._encode = encode
        self._seq = 0

    @property
    def are_many(self) -> bool:
        """Whether no further batch may be numbered, whatever waits."""
        return len(self.outstanding) >= self._limits.batches_outstanding_max

    def may_number(self, runs: Iterable[Run]) -> bool:
        """Whether ``runs`` are worth another batch now: beside one that is under way, a few commands are not.

        What a batch costs all nodes hardly depends on its size. So a few commands wait until the batch under way is
        applied, and those that arrive meanwhile go with them.
        """
        if not self.outstanding:
            return True
        return not self.are_many and weigh_at_least(runs, self._limits.batches_overtaking_bytes_min)

    def number(self, runs: list[Run], barrier: int, now: float) -> Outstanding:
        """Give these runs the next number; the batch answers the request ``barrier``, if that is not 0."""
        entries = [entry for run in runs for entry in run.log_entries()]
        self._seq += 1
        me = self._identity
        batch = Batch(me.node, me.incarnation, me.boot, self._seq, self._encode(entries))
        numbered = Outstanding(batch, runs, len(entries), now, now, barrier)
        self.outstanding.append(numbered)
        return numbered

    def connections(self) -> set[int]:
        """The connections that wait for an answer out of a numbered batch."""
        return {run.connection for each in self.outstanding for run in each.runs if not run.answered}

    def applied(self, seq: int) -> Outstanding:
        """The learner has applied number ``seq``: the oldest one, since each origin's batches are applied in order."""
        oldest = self.outstanding.popleft()
        assert oldest.batch.seq == seq, f"batch {seq} applied, {oldest.batch.seq} is the oldest"
        return oldest

    def passed(self, seq: int) -> list[Outstanding]:
        """A snapshot stands for all numbers up to ``seq``: those of them that were under way, oldest first."""
        passed = []
        while self.outstanding and self.outstanding[0].batch.seq <= seq:
            passed.append(self.outstanding.popleft())
        return passed

    def give_up(self) -> None:
        """This node was removed: what is under way never takes effect here, and nothing gets a number any more."""
        self.outstanding.clear()

    def is_applied(self, seq: int) -> bool:
        """Whether number ``seq``, or any that was never given, is under way no more."""
        return not self.outstanding or self.outstanding[0].batch.seq > seq

    def waited(self, seconds: float, now: float) -> bool:
        """Whether the oldest one was last sent that long ago."""
        return bool(self.outstanding) and self.outstanding[0].sent_at <= now - seconds

    def send_again(self, from_seq: int, now: float) -> Iterator[Submit]:
        """What to send again, number ``from_seq`` and all after it in their order."""
        for outstanding in self.outstanding:
            if outstanding.batch.seq >= from_seq:
                outstanding.sent_at = now
                yield Submit((outstanding.batch,))
