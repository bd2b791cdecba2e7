"""The window of a leader: the slots it has proposed in its ballot and not yet counted chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dkv.configurations import Configuration
from dkv.paxos.backoff import backoff
from dkv.records import Value, value_bytes


@dataclass(slots=True)
class Proposal:
    """A value on its way: its size in bytes, and when its Accepts last went out, in monotonic seconds, and how often.

    ``configuration`` is the set that decides its slot, and ``accepted_by`` are the nodes that have accepted it in this
    ballot, standbys among them.
    """

    configuration: Configuration
    value: Value
    size: int
    sent_at: float
    sent_times: int = 1
    accepted_by: set[int] = field(default_factory=set)

    @property
    def is_chosen(self) -> bool:
        """Whether a quorum of those who decide the slot has accepted it in this ballot."""
        return self.configuration.decides(self.accepted_by)


class Window:
    """The slots above ``chosen_through``: ``slots_max`` at most, and as many as fit ``bytes_max``, one at least.

    The bytes are bounded too, because every acceptor must write them to its disk: a commit that takes many seconds
    looks like a disk that has died.

    ``chosen_through`` is the leader's own count: the base that phase 1 established, then slot after slot for which
    a quorum of Accepteds in this ballot came to this proposer, and never anything it heard otherwise (B25).

    ``allowed_through`` is the last slot that may be proposed at all; the leader sets it.
    """

    def __init__(self, base: int, node: int, slots_max: int, bytes_max: int) -> None:
        self.chosen_through = self.allowed_through = base
        self._next_slot = base + 1
        self._node = node
        self._slots_max = slots_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._proposals: dict[int, Proposal] = {}
        self._own_pending: dict[int, float] = {}
        self._origins = {node}  # of batches counted chosen; and this node, whose learner is never behind

    def __iter__(self) -> Iterator[tuple[int, Proposal]]:
        return iter(self._proposals.items())

    def has_room(self) -> bool:
        """Whether another slot may be proposed."""
        within = self._next_slot - self.chosen_through <= self._slots_max and self._bytes < self._bytes_max
        return within and self._next_slot <= self.allowed_through

    @property
    def next_slot(self) -> int:
        """The slot that is proposed next."""
        return self._next_slot

    def propose(self, configuration: Configuration, value: Value, now: float) -> int:
        """Take the next slot, which ``configuration`` decides, for ``value``; which one it is."""
        assert self.has_room()
        slot = self._next_slot
        self._next_slot += 1
        size = value_bytes(value)
        self._proposals[slot] = Proposal(configuration, value, size, now)
        self._bytes += size
        self._own_pending[slot] = now
        return slot

    def accepted(self, node: int, slot: int) -> bool:
        """Count an Accepted of this ballot; whether ``chosen_through`` grew.

        A slot may have its quorum before the one below it. It is counted after that one, as a mark stands for all slots
        up to it.
        """
        if node == self._node:
            self._own_pending.pop(slot, None)
        proposal = self._proposals.get(slot)
        if proposal is None:
            return False
        proposal.accepted_by.add(node)
        before = self.chosen_through
        while (first := self._proposals.get(self.chosen_through + 1)) and first.is_chosen:
            self.chosen_through += 1
            self._bytes -= self._proposals.pop(self.chosen_through).size
            self._origins.update([batch.node for batch in first.value.batches])
        return self.chosen_through > before

    def take_origins(self) -> list[int]:
        """The nodes whose batches were counted chosen since the last time, and the proposer's own one."""
        origins, self._origins = self._origins, {self._node}
        return sorted(origins)

    def take_overdue(self, now: float, seconds: float) -> list[tuple[int, Proposal]]:
        """The proposals that were under way for ``seconds``, doubled each time that they are sent again."""
        overdue = []
        for slot, proposal in self._proposals.items():
            if now - proposal.sent_at >= seconds * backoff(proposal.sent_times):
                proposal.sent_at = now
                proposal.sent_times += 1
                overdue.append((slot, proposal))
        return overdue

    def own_disk_silent_seconds(self, now: float) -> float:
        """For how long the oldest Accept that the node's own acceptor has not answered has waited."""
        return now - next(iter(self._own_pending.values()), now)
