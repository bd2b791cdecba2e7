"""Phase 1 at the proposer: what a quorum of Promises says (Paxos Made Simple, section 2.2, P2c)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from dkv.ballot import Ballot
from dkv.messages import Promise
from dkv.paxos.quorum import is_quorum
from dkv.records import NOOP, SlotRecord, Value


class Phase(Enum):
    """What a proposer is doing."""

    IDLE = auto()
    RESERVING = auto()
    PREPARING = auto()
    CATCHING_UP = auto()
    LEADING = auto()


class PromiseTally:
    """Promises for one ballot, gathered chunk by chunk; those for any other ballot do not count (B4)."""

    def __init__(self, ballot: Ballot, members: Iterable[int]) -> None:
        self.ballot = ballot
        self.began_at = 0.0
        """When, in monotonic seconds, and ``asked_times`` how often Prepares went out: kept for their sender."""
        self.asked_times = 1
        self._members = frozenset(members)
        self._chunks: dict[int, dict[int, Promise]] = {}

    def add(self, node: int, promise: Promise) -> None:
        """Take one message; a chunk of another report than the ones held begins that node's report anew."""
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
        """The highest ``chosen_through`` reported by the quorum, and a node that reported it."""
        return max((self._chunks[node][0].chosen_through, node) for node in self.reported())

    def choices(self, base: int) -> list[Value]:
        """For each slot from ``base`` + 1 on, in order: the value this ballot must propose there.

        Chosen beats any ballot, then the highest ballot wins; a slot that nobody reported gets a no-op.
        """
        strongest: dict[int, SlotRecord] = {}
        for node in self.reported():
            for promise in self._chunks[node].values():
                for slot, record in promise.records:
                    held = strongest.get(slot)
                    if slot > base and (held is None or _strength(record) > _strength(held)):
                        strongest[slot] = record
        last = max(strongest, default=base)
        return [strongest[slot].value if slot in strongest else NOOP for slot in range(base + 1, last + 1)]


def _strength(record: SlotRecord) -> tuple[bool, Ballot]:
    return record.chosen, record.ballot
