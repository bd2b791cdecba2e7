"""Which other nodes may be about to lead: an election asked for meanwhile would only get in their way."""

from __future__ import annotations

from dkv.ballot import ZERO, Ballot
from dkv.paxos.hearing import Hearing
from dkv.settings import Timings


class Contenders:
    """What is known of other nodes' ballots: the last one promised here, and those that were given up."""

    def __init__(self, hearing: Hearing, timings: Timings) -> None:
        self._hearing = hearing
        self._timings = timings
        self._promised = ZERO
        self._promised_at = 0.0
        self._given_up: dict[int, Ballot] = {}

    def promised(self, ballot: Ballot, now: float) -> None:
        """The node's own acceptor has promised ``ballot``."""
        self._promised, self._promised_at = ballot, now

    def gave_up(self, node: int, ballot: Ballot) -> None:
        """``node`` says that it leads in ``ballot`` no more, or will never do so."""
        self._given_up[node] = max(ballot, self._given_up.get(node, ZERO))

    def rival_of(self, candidate: int, now: float) -> bool:
        """Whether a fresh promise was made to another node than ``candidate``, which is still connected."""
        owner = self._promised.node
        if owner == candidate or owner not in self._hearing.signs:
            return False
        return now - self._promised_at < self._timings.election_seconds_min

    def may_lead(self, ballot: Ballot, now: float) -> bool:
        """Whether the owner of ``ballot`` is heard and has not given it up, as far as is known."""
        return self._hearing.hears(ballot.node, now) and ballot > self._given_up.get(ballot.node, ZERO)
