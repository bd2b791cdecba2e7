"""The window of a leader: the slots it has proposed in its ballot and not yet counted chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dkv.paxos.quorum import is_quorum
from dkv.records import Value


@dataclass(slots=True)
class Proposal:
    """A value on its way: who has accepted it in this ballot, and when its Accepts last went out."""

    value: Value
    sent_at: float
    voters: set[int] = field(default_factory=set)


class Window:
    """The slots above ``chosen_through`` up to ``slots_max`` further on.

    ``chosen_through`` is the leader's own count: the base that phase 1 established, then slot after slot for which
    a quorum of Accepteds in this ballot came to this proposer, and never anything it heard otherwise (B25).
    """

    def __init__(self, base: int, node: int, members: Iterable[int], slots_max: int) -> None:
        self.chosen_through = base
        self._next_slot = base + 1
        self._node = node
        self._members = frozenset(members)
        self._slots_max = slots_max
        self._proposals: dict[int, Proposal] = {}
        self._own_pending: dict[int, float] = {}

    def __iter__(self) -> Iterator[tuple[int, Proposal]]:
        return iter(self._proposals.items())

    def has_room(self) -> bool:
        """Whether another slot may be proposed."""
        return self._next_slot - self.chosen_through <= self._slots_max

    def propose(self, value: Value, now: float) -> int:
        """Take the next slot for ``value``; which one it is."""
        assert self.has_room()
        slot = self._next_slot
        self._next_slot += 1
        self._proposals[slot] = Proposal(value, now)
        self._own_pending[slot] = now
        return slot

    def accepted(self, node: int, slot: int) -> bool:
        """Count an Accepted of this ballot; whether ``chosen_through`` grew."""
        if node == self._node:
            self._own_pending.pop(slot, None)
        proposal = self._proposals.get(slot)
        if proposal is None:
            return False
        proposal.voters.add(node)
        before = self.chosen_through
        while (first := self._proposals.get(self.chosen_through + 1)) and is_quorum(first.voters, self._members):
            self.chosen_through += 1
            del self._proposals[self.chosen_through]
        return self.chosen_through > before

    def own_disk_silent_seconds(self, now: float) -> float:
        """For how long the node's own acceptor has owed the answer to its oldest unanswered Accept."""
        return now - next(iter(self._own_pending.values()), now)
