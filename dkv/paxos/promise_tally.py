"""Phase 1 at the proposer: who has promised a ballot, and what they report (Paxos Made Simple, section 2.2)."""

from __future__ import annotations

from collections.abc import Iterator

from dkv.ballot import Ballot
from dkv.messages import Promise
from dkv.records import SlotRecord


class PromiseTally:
    """Promises for one ballot, gathered chunk by chunk; those for any other ballot do not count (B4).

    Which nodes make a quorum depends on the slot that is asked about, so the tally takes Promises of any node.
    """

    def __init__(self, ballot: Ballot) -> None:
        self.ballot = ballot
        self._chunks: dict[int, dict[int, Promise]] = {}
        self._clocks: dict[int, float] = {}

    def add(self, node: int, promise: Promise, now: float) -> None:
        """Take one message, at monotonic second ``now``.

        A chunk of another report than those held begins that node's report anew. An acceptor that is asked twice
        reports twice, and the second time it may begin at another slot: chunks of the two, joined, would leave out the
        slots between.
        """
        if promise.ballot != self.ballot or promise.chunk >= promise.chunks:
            return
        chunks = self._chunks.setdefault(node, {})
        if any((held.report, held.chunks) != (promise.report, promise.chunks) for held in chunks.values()):
            chunks.clear()
        chunks[promise.chunk] = promise
        self._clocks[node] = promise.clock - now * 1000

    def reported(self) -> set[int]:
        """The nodes whose report is whole."""
        return {node for node, chunks in self._chunks.items() if len(chunks) == next(iter(chunks.values())).chunks}

    def clocks(self) -> dict[int, float]:
        """What time it is for the nodes whose report is whole: milliseconds ahead of this node's monotonic clock."""
        return {node: self._clocks[node] for node in self.reported()}

    def base(self) -> tuple[int, int]:
        """The highest slot that was reported as chosen or compacted, and a node that reported it (B13)."""
        return max((self.base_of(node), node) for node in self.reported())

    def base_of(self, node: int) -> int:
        """The same of one node whose report is whole."""
        first = self._chunks[node][0]
        return max(first.chosen_through, first.compacted_through)

    def within_reach(self, held_through: int) -> bool:
        """Whether a node that reported holds more chosen values than those up to ``held_through``, and the next one."""
        firsts = [self._chunks[node][0] for node in self.reported()]
        return any(first.compacted_through <= held_through < first.chosen_through for first in firsts)

    def records(self, node: int) -> Iterator[tuple[int, SlotRecord]]:
        """What the node has accepted, as far as its report has come: (slot, record)."""
        for promise in self._chunks[node].values():
            yield from promise.records
