"""The rules of linearizable reads (I11), checked from outside.

Reads behind a barrier are served only at or above every slot that was acknowledged before they arrived. And the leader
that answers has heard from a quorum of acceptors that its ballot stands, in a round that began after the request came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from dkv.actor import Address
from dkv.ballot import Ballot
from dkv.messages import Barrier, BarrierRequest, Confirm, Confirmed
from dkv.paxos.quorum import is_quorum

Request = tuple[int, int, int]
"""The node, boot and number of a barrier request."""


class ReadRules:
    """Hears of every message that reads need, and calls ``violated(sentence)`` if a rule is broken."""

    def __init__(self, members: tuple[int, ...], violated: Callable[[str], None]) -> None:
        self.acknowledged_through = 0
        """The highest slot that a client may know of."""
        self._members = members
        self._violated = violated
        self._asked: dict[Request, int] = {}
        self._count = 0
        self._arrived: dict[tuple[int, Request], int] = {}
        self._complete: dict[int, tuple[Ballot, int]] = {}
        self._begun: dict[tuple[Ballot, int], int] = {}
        self._confirmed: defaultdict[tuple[Ballot, int], set[int]] = defaultdict(set)

    def acknowledged(self, slot: int) -> None:
        """A write of ``slot`` is about to be acknowledged."""
        self.acknowledged_through = max(self.acknowledged_through, slot)

    def asked(self, node: int, message: BarrierRequest) -> None:
        """A gateway asks for a barrier: its reads arrived before it asked for the first time."""
        self._asked.setdefault((node, message.boot, message.number), self.acknowledged_through)

    def arrived(self, leader: int, sender: Address, message: BarrierRequest) -> None:
        """The request is at a proposer."""
        self._count += 1
        self._arrived.setdefault((leader, (sender.node, message.boot, message.number)), self._count)

    def round_begun(self, message: Confirm) -> None:
        """A proposer asks the acceptors, perhaps not for the first time."""
        self._count += 1
        self._begun.setdefault((message.ballot, message.round), self._count)

    def confirmed(self, sender: Address, message: Confirmed) -> None:
        """An acceptor's confirmation is at the proposer."""
        name = (message.ballot, message.round)
        self._confirmed[name].add(sender.node)
        leader = message.ballot.node
        if is_quorum(self._confirmed[name], self._members):
            self._complete[leader] = max(name, self._complete.get(leader, name))

    def answered(self, leader: int, to: int, message: Barrier) -> None:
        """A proposer answers a request."""
        arrived = self._arrived.get((leader, (to, message.boot, message.number)), 0)
        name = self._complete.get(leader)
        if name is None:
            self._violated(f"I11: node {leader} answered a barrier that no quorum had confirmed")
        elif self._begun[name] < arrived:
            self._violated(f"I11: node {leader} answered a barrier by a round that began before the request came")

    def served(self, node: int, message: Barrier) -> None:
        """The answer is at the gateway that asked."""
        after = self._asked.get((node, message.boot, message.number), 0)
        if message.through < after:
            self._violated(
                f"I11: reads on node {node} would be served at slot {message.through},"
                f" though slot {after} was acknowledged before they arrived"
            )
        self.acknowledged(message.through)
