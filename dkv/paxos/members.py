"""What an acceptor keeps of the other members, on disk, so that none of them comes back as less than it was (B34).

Of each member it keeps the incarnation, the latest life, and the votes that are known to be on that member's disk. The
mesh judges every new life by this (``dkv.net.acquaintances``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dkv.actor import Turn
from dkv.events import PeerMet, PeerUp
from dkv.identity import Acquaintance, Votes, pack_acquaintance, unpack_acquaintance
from dkv.keys import MEMBER, member_key, node_of
from dkv.messages import Voted


class Members:
    """``others`` are the ids of all members but this one. A member is unseen until both sides have met once."""

    def __init__(self, others: Iterable[int]) -> None:
        self.unseen = set(others)
        self._met: dict[int, Acquaintance] = {}

    def start(self, turn: Turn) -> None:
        """Read what was kept."""
        for key, stored in turn.scan(MEMBER):
            self._met[node_of(key)] = unpack_acquaintance(stored)
            self.unseen.discard(node_of(key))

    def met(self, turn: Turn, message: PeerMet) -> None:
        """A member has a life that was not met before: from here on nothing of an earlier one is let in."""
        self._met[message.node] = message.acquaintance
        if message.node not in self.unseen:
            turn.persist(member_key(message.node), pack_acquaintance(message.acquaintance))

    def up(self, turn: Turn, message: PeerUp) -> None:
        """A member and this node have accepted each other, for the first time."""
        self.unseen.discard(message.node)
        held = self._met.setdefault(message.node, Acquaintance(message.incarnation))
        turn.persist(member_key(message.node), pack_acquaintance(held))

    def voted(self, turn: Turn, node: int, message: Voted) -> None:
        """Keep what a member's disk holds. It is staged: with the last of it lost there is only less to judge by."""
        if node in self.unseen:
            return  # Nothing is kept of it yet; it tells again when both sides are up.
        known = self._met[node]
        votes = known.votes.joined(Votes(message.ballot, message.votes))
        if votes != known.votes:
            self._met[node] = replace(known, votes=votes)
            turn.stage(member_key(node), pack_acquaintance(self._met[node]))
