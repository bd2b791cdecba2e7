"""The electorate: whom an elector asks, whose word counts, and who may campaign, as the members change.

A change of members that is applied but not in force leaves the next slots to the old set, and the later ones to the new
set. So a poll needs a quorum of *each* set from the one in force to the newest: the node that it allows to campaign can
get all of these slots chosen. Whether a quorum is heard, or answers a leader, is asked of the set in force alone. If a
voter of the next set is slow, the leader must not give up for that.

Only voters campaign. A standby, a node that was removed, and a node that joins are told of the leader like all others,
and stay quiet. Nor does any node campaign while it replays its log: its state may be that of an earlier set (R1).
"""

from __future__ import annotations

from dkv.actor import ELECTOR, Address, Turn
from dkv.configurations import Configurations
from dkv.events import Progress
from dkv.messages import Poll
from dkv.paxos.contenders import Contenders
from dkv.paxos.hearing import Hearing
from dkv.paxos.known_members import KnownMembers
from dkv.paxos.poll_grants import PollGrants
from dkv.settings import Limits, Timings


class Electorate:
    """The members as the elector of ``node`` sees them, those that it hears, and the grants of its own poll."""

    def __init__(self, node: int, configurations: Configurations, limits: Limits, timings: Timings) -> None:
        self.members = KnownMembers(node, configurations)
        self.hearing = Hearing(node, timings)
        self.grants = PollGrants(node)
        self.contenders = Contenders(self.hearing, timings)
        self.replayed = False
        """Whether the learner has applied all that the log held at the start."""
        self.progress: Progress | None = None
        """How far this node's acceptor is; None while it does not vote."""
        self._node = node
        self._lag_slots_max = limits.poll_lag_slots_max

    @property
    def may_campaign(self) -> bool:
        """Whether this node may poll now, and run for leader."""
        if self.progress is None:
            return False  # Its own acceptor could not promise the ballot (B12).
        return self.replayed and any(self._node in each.voters for each in self.members.each)

    @property
    def chosen_through(self) -> int:
        """Up to about which slot this node holds all; 0 while it does not vote."""
        return self.progress.chosen_through if self.progress is not None else 0

    def poll(self, turn: Turn) -> None:
        """Ask all other members whether they would grant this node an election."""
        poll = Poll(self.grants.open(), self.chosen_through)
        for node in self.members.others:
            turn.send(Address(node, ELECTOR), poll)

    @property
    def is_sole_voter(self) -> bool:
        """Whether no other node has a vote: then nobody need be waited for."""
        return all(each.voters == {self._node} for each in self.members.each)

    @property
    def in_force(self) -> bool:
        """Whether this node is a voter of the set in force, as a leader should be."""
        return self._node in self.members.in_force.voters

    @property
    def granted(self) -> bool:
        """Whether a quorum of each set has granted the open poll."""
        return all(each.decides(self.grants.nodes) for each in self.members.each)

    def supports(self, answering: set[int]) -> bool:
        """Whether the nodes that answer a leader are a quorum of the set in force, together with this node."""
        return self.members.in_force.decides(answering | {self._node})

    def welcomes(self, now: float, candidate: int, poll: Poll) -> bool:
        """Whether ``candidate`` could lead: it is a member, has about all that is chosen, and nobody is in its way."""
        if self.contenders.rival_of(candidate, now):
            return False  # Another node is about to lead: campaigns that cross end each other.
        if self.progress is None:
            return False  # This node's acceptor does not vote, so its word counts for nothing (B12).
        if not self.members.is_known(candidate):
            return False  # It was removed, or this node has not heard of it yet.
        if poll.chosen_through < self.progress.compacted_through:
            return False  # It lacks slots that nobody may have any more: its phase 1 might find no end.
        # Nor a candidate far behind: its catch-up would be an outage.
        return poll.chosen_through + self._lag_slots_max >= self.progress.chosen_through
