"""Phase 1 at the proposer: what a quorum of Promises says (Paxos Made Simple, section 2.2, P2c)."""

from __future__ import annotations

from collections.abc import Iterable

from dkv.ballot import Ballot
from dkv.messages import Promise
from dkv.paxos.quorum import is_quorum
from dkv.paxos.strongest import strongest
from dkv.records import NOOP, SlotRecord, Value


class PromiseTally:
    """Promises for one ballot, gathered chunk by chunk; those for any other ballot do not count (B4)."""

    def __init__(self, ballot: Ballot, members: Iterable[int]) -> None:
        self.ballot = ballot
        self._members = frozenset(members)
        self._chunks: dict[int, dict[int, Promise]] = {}

    def add(self, node: int, promise: Promise) -> None:
        """Take one message. A chunk of another report than those held begins that node's report anew.

        An acceptor that is asked twice reports twice, and the second time it may begin at another slot: chunks of the
        two, joined, would leave out the slots between.
        """
        if promise.ballot != self.ballot or node not in self._members or promise.chunk >= promise.chunks:
            return
        chunks = self._chunks.setdefault(node, {})
        if any((held.report, held.chunks) != (promise.report, promise.chunks) for held in chunks.values()):
            chunks.clear()
        chunks[promise.chunk] = promise

    def reported(self) -> set[int]:
        """The nodes whose report is whole."""
        return {node for node, chunks in self._chunks.items() if len(chunks) == next(iter(chunks.values())).chunks}

    def complete(self) -> bool:
        """Whether a quorum has reported."""
        return is_quorum(self.reported(), self._members)

    def base(self) -> tuple[int, int]:
        """The highest slot that the quorum reported as chosen or compacted, and a node that reported it (B13)."""
        return max((_base(self._chunks[node][0]), node) for node in self.reported())

    def within_reach(self, held_through: int) -> bool:
        """Whether a node that reported holds more chosen values than those up to ``held_through``, and the next one."""
        firsts = [self._chunks[node][0] for node in self.reported()]
        return any(first.compacted_through <= held_through < first.chosen_through for first in firsts)

    def choices(self, base: int) -> list[Value]:
        """For each slot from ``base`` + 1 on, in order: the value this ballot must propose there.

        It is the strongest value that was reported. A slot that nobody in the quorum reported has no chosen value, and
        gets a no-op: the slots above it cannot be applied before it has one (section 3).
        """
        reported: dict[int, list[SlotRecord]] = {}
        for node in self.reported():
            for promise in self._chunks[node].values():
                for slot, record in promise.records:
                    if slot > base:
                        reported.setdefault(slot, []).append(record)
        last = max(reported, default=base)
        found = [strongest(reported.get(slot, ())) for slot in range(base + 1, last + 1)]
        return [NOOP if record is None else record.value for record in found]


def _base(promise: Promise) -> int:
    return max(promise.chosen_through, promise.compacted_through)
