"""What an acceptor keeps of the other members, on disk, so that none of them comes back as less than it was (B34).

Of each member it keeps the incarnation, the latest life, and the votes that are known to be on that member's disk. The
mesh judges every new life by this (``dkv.net.acquaintances``).

It also decides whether the acceptor may vote (B12). A directory must not vote under the id of another one that cast
votes and is lost. There are two ways to know that it does not. The log names the incarnation of the directory that has
the id: the log counts more than anything else. Or, before the first change of members, all others have met this
directory: they keep its incarnation, and would have refused a second one.
"""

from __future__ import annotations

from dataclasses import replace

from dkv.actor import Turn
from dkv.configurations import Configurations, MemberRecord
from dkv.events import PeerMet, PeerUp
from dkv.identity import Acquaintance, Identity, Votes, pack_acquaintance, unpack_acquaintance
from dkv.keys import MEMBER, member_key, node_of
from dkv.messages import Voted


class MetMembers:
    """What the node that ``identity`` names keeps; ``configurations`` are the sets that it begins with.

    A first member is unseen until both sides have met once.
    """

    def __init__(self, identity: Identity, configurations: Configurations) -> None:
        oldest = configurations.sets[0]
        first_members = oldest.voters if oldest.slot == 0 else frozenset[int]()
        self._identity = identity
        self._is_first = identity.node in first_members
        self._record = configurations.record(identity.node)
        self._met: dict[int, Acquaintance] = {}
        self.unseen = set(first_members - {identity.node})
        self.may_vote = False

    def start(self, turn: Turn) -> None:
        """Read what was kept."""
        for key, stored in turn.scan(MEMBER):
            self._met[node_of(key)] = unpack_acquaintance(stored)
            self.unseen.discard(node_of(key))
        self._decide()

    def named(self, record: MemberRecord | None) -> None:
        """What the applied log says of this node; None if it says nothing."""
        self._record = record
        self._decide()

    def _decide(self) -> None:
        """Settle whether the acceptor may vote.

        A first member of which the log says nothing must really have met all the others. The present members would not
        do: none of those that came later knows whether it had another directory before.
        """
        if self._record is not None:
            self.may_vote = self._record.incarnation == self._identity.incarnation
        else:
            self.may_vote = self._is_first and not self.unseen

    def met(self, turn: Turn, message: PeerMet) -> None:
        """A member has a life that was not met before: from here on nothing of an earlier one is let in."""
        self._met[message.node] = message.acquaintance
        if message.node not in self.unseen:
            turn.persist(member_key(message.node), pack_acquaintance(message.acquaintance))

    def up(self, turn: Turn, message: PeerUp) -> None:
        """A first member and this node have accepted each other, perhaps for the first time."""
        if message.node not in self.unseen:
            return
        self.unseen.discard(message.node)
        held = self._met.setdefault(message.node, Acquaintance(message.incarnation))
        turn.persist(member_key(message.node), pack_acquaintance(held))
        self._decide()

    def voted(self, turn: Turn, node: int, message: Voted) -> None:
        """Keep what a member's disk holds. It is staged: with the last of it lost there is only less to judge by."""
        known = self._met.get(node)
        if node in self.unseen or known is None:
            return  # Nothing is kept of it yet; it tells again when both sides are up.
        votes = known.votes.joined(Votes(message.ballot, message.votes))
        if votes != known.votes:
            self._met[node] = replace(known, votes=votes)
            turn.stage(member_key(node), pack_acquaintance(self._met[node]))
