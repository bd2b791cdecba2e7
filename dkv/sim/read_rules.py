"""The rules of linearizable reads (I11), checked from outside.

Reads behind a barrier are served only at or above every slot that was acknowledged before they arrived. And the leader
that answers has heard from a quorum that its ballot stands, in a round that began after the request came: a quorum of
the set that decides the slot behind those that the leader had counted by then. Whoever leads after it needs that set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import takewhile

from dkv.actor import Address
from dkv.ballot import Ballot
from dkv.messages import Barrier, BarrierRequest, Confirm, Confirmed
from dkv.sim.chosen import Chosen

Request = tuple[int, int, int]
"""The node, boot and number of a barrier request."""

Round = tuple[Ballot, int]
"""A ballot, and the number of one of its rounds."""


class ReadRules:
    """Hears of every message that reads need, and calls ``violated(sentence)`` if a rule is broken."""

    def __init__(self, chosen: Chosen, violated: Callable[[str], None]) -> None:
        self.acknowledged_through = 0
        """The highest slot that a client may know of."""
        self._chosen = chosen
        self._violated = violated
        self._asked: dict[Request, int] = {}
        self._count = 0
        self._arrived: dict[tuple[int, Request], int] = {}
        self._complete: defaultdict[int, list[Round]] = defaultdict(list)
        """The rounds of each leader that a quorum confirmed, in order."""
        self._begun: dict[Round, tuple[int, int]] = {}
        """When each round began, and a slot up to which its leader had counted by then."""
        self._counted: dict[Ballot, int] = {}
        """The highest slot that the leader of each ballot has shown to have counted."""
        self._confirmed: defaultdict[Round, set[int]] = defaultdict(set)

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

    def counted(self, ballot: Ballot, through: int) -> None:
        """A leader shows how far it has counted."""
        self._counted[ballot] = max(through, self._counted.get(ballot, 0))

    def round_begun(self, message: Confirm) -> None:
        """A proposer asks the acceptors, perhaps not for the first time."""
        self._count += 1
        counted = self._counted.get(message.ballot, 0)
        self._begun.setdefault((message.ballot, message.round), (self._count, counted))

    def confirmed(self, sender: Address, message: Confirmed) -> None:
        """An acceptor's confirmation is at the proposer."""
        name = (message.ballot, message.round)
        self._confirmed[name].add(sender.node)
        rounds = self._complete[message.ballot.node]
        newest = not rounds or name > rounds[-1]  # a late answer may complete an earlier round
        if name in self._begun and newest and self._is_confirmed(name, self._chosen.through):
            rounds.append(name)

    def _is_confirmed(self, name: Round, through: int) -> bool:
        """Whether a quorum confirmed a round, as the leader's count was when it began, or later up to ``through``."""
        _, counted = self._begun[name]
        configs = self._chosen.configs(counted + 1, through + 1)
        return any(config.decides(self._confirmed[name]) for config in configs)

    def answered(self, leader: int, to: int, message: Barrier) -> None:
        """A proposer answers a request."""
        arrived = self._arrived.get((leader, (to, message.boot, message.number)), 0)
        rounds = self._complete[leader]
        since = list(takewhile(lambda name: self._begun[name][0] >= arrived, reversed(rounds)))
        if not rounds:
            self._violated(f"I11: node {leader} answered a barrier that no quorum had confirmed")
        elif not since:
            self._violated(f"I11: node {leader} answered a barrier by a round that began before the request came")
        elif not any(self._is_confirmed(name, message.through) for name in since):
            self._violated(f"I11: node {leader} answered a barrier that only an earlier set of members had confirmed")

    def served(self, node: int, message: Barrier) -> None:
        """The answer is at the gateway that asked."""
        after = self._asked.get((node, message.boot, message.number), 0)
        if message.through < after:
            self._violated(
                f"I11: reads on node {node} would be served at slot {message.through},"
                f" though slot {after} was acknowledged before they arrived"
            )
        self.acknowledged(message.through)
