"""In the elector's place in classic mode: nobody is elected, so it only says whether work can be done.

The gateway gives its batches to its own node's proposer while this node is a member, votes and hears a quorum. It
refuses those that grow data while any disk is short of space. Nothing here is needed for safety, and nothing is on
disk.
"""

from __future__ import annotations

from typing import assert_never

from dkv.actor import GATEWAY, Address, Turn
from dkv.ballot import ZERO
from dkv.client_events import LeaderIs, Replayed
from dkv.configurations import Configurations
from dkv.events import (
    DiskMeasured,
    MembersAre,
    PeerDown,
    PeerHeard,
    PeerUp,
    Progress,
    PromiseRaised,
    TimerFired,
)
from dkv.messages import DiskSpace
from dkv.paxos.hearing import Hearing
from dkv.paxos.known_members import KnownMembers
from dkv.paxos.space import Space
from dkv.settings import Timings

_FromThisNode = Progress | PromiseRaised | Replayed | MembersAre
PresenceMessage = PeerHeard | PeerUp | PeerDown | _FromThisNode | DiskSpace | DiskMeasured | TimerFired


class Presence:
    """Whom node ``node`` hears."""

    def __init__(self, node: int, configurations: Configurations, timings: Timings) -> None:
        self._node = node
        self._members = KnownMembers(node, configurations)
        self._timings = timings
        self._hearing = Hearing(node, timings)
        self._space = Space(node)
        self._votes = False
        self._at_work = False

    def start(self, turn: Turn) -> None:
        """Begin to listen."""
        self._hearing.start(turn)

    def receive(self, turn: Turn, sender: Address, message: PresenceMessage) -> None:
        """React to one message."""
        match message:
            case PeerHeard() | PeerUp():
                self._hearing.signs.came(message.node, turn.now)
                if not self._at_work:
                    self._look(turn)
            case PeerDown():
                self._hearing.signs.lost(message.node)
            case Progress():
                self._votes = True
                if self._hearing.signs:
                    self._look(turn)
            case MembersAre():
                self._members.update(message)
            case PromiseRaised() | Replayed():
                return  # which matters to leaders
            case DiskSpace():
                self._space.said(sender.node, message, turn.now)
                self._decide_space(turn)
            case DiskMeasured():
                self._space.measured(turn, message, self._members.others)
                self._decide_space(turn)
            case TimerFired():
                self._on_timer(turn)
            case _:
                assert_never(message)

    def _on_timer(self, turn: Turn) -> None:
        """The tick, at which silence is noticed."""
        self._hearing.paused(turn)
        self._look(turn)
        self._decide_space(turn)  # a word that was not repeated may count no more
        self._hearing.tick_in(turn, self._timings.heartbeat_seconds)

    def _look(self, turn: Turn) -> None:
        """Tell the gateway when work can be done, and when not: the node in LeaderIs is its own, or none."""
        in_force = self._members.in_force
        at_work = self._hearing.look(turn, in_force) and self._votes and self._node in in_force.members
        if at_work != self._at_work:
            self._at_work = at_work
            turn.send(Address(self._node, GATEWAY), LeaderIs(self._node if at_work else 0, ZERO))

    def _decide_space(self, turn: Turn) -> None:
        self._space.decide(turn, self._members.in_force.voters)
