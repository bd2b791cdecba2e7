"""From whom a node fetches what it lacks: chosen slots, and snapshots. Voters are asked first: they lag least."""

from __future__ import annotations

from collections.abc import Collection

from dkv.configurations import Configurations
from dkv.events import MembersAre
from dkv.paxos.known_members import KnownMembers


class Sources:
    """The peers of node ``node``, those that are asked first in front.

    ``hints`` are ids of the node's config file. They stand in for the members while the log that is applied here does
    not name the node: it joins, and the members that its log begins with may all be gone. A node that was down while
    members changed knows only those of before, so hints with later ids are asked as well.
    """

    def __init__(self, node: int, configurations: Configurations, hints: Collection[int]) -> None:
        self._node = node
        self._hints = frozenset(hints) - {node}
        self._members = KnownMembers(node, configurations)
        self._take()

    def update(self, message: MembersAre) -> None:
        """The log has come to another set, or one has taken force."""
        self._members.update(message)
        self._take()

    def is_standby(self, node: int) -> bool:
        """Whether a node is known and does not decide the next slot."""
        return node in self._standbys

    @property
    def of_a_member(self) -> bool:
        """Whether the log that is applied here names the node itself; otherwise the peers may be hints."""
        return self._members.is_known(self._node)

    def after(self, peer: int) -> int:
        """The peer to turn to when ``peer`` is of no help, in a circle; 0 if there is none at all."""
        later = (each for each in self.peers if self._place(each) > self._place(peer))
        return next(later, next(iter(self.peers), 0))

    def _place(self, node: int) -> tuple[bool, int]:
        return self.is_standby(node), node

    def _take(self) -> None:
        members = self._members
        usual = members.others if self.of_a_member or not self._hints else self._hints
        peers = members.configurations.later(self._hints).union(usual)
        self._standbys = members.all - members.in_force.voters
        self.peers = tuple(sorted(peers, key=self._place))
