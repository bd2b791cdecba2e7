"""In the elector's place in classic mode: nobody is elected, so it only says whether work can be done.

The gateway gives its batches to its own node's proposer while this node votes and hears a quorum. It refuses those that
grow data while any disk is short of space. Nothing here is needed for safety, and nothing is on disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from dkv.actor import GATEWAY, Address, Turn
from dkv.ballot import ZERO
from dkv.client_events import LeaderIs
from dkv.events import (
    DiskMeasured,
    PeerDown,
    PeerHeard,
    PeerUp,
    Progress,
    PromiseRaised,
    TimerFired,
)
from dkv.messages import DiskSpace
from dkv.paxos.hearing import Hearing
from dkv.paxos.space import Space
from dkv.settings import Timings

PresenceMessage = PeerHeard | PeerUp | PeerDown | Progress | PromiseRaised | DiskSpace | DiskMeasured | TimerFired


class Presence:
    """Whom node ``node`` hears; ``members`` are all ids."""

    def __init__(self, node: int, members: Iterable[int], timings: Timings) -> None:
        members = tuple(members)
        self._node = node
        self._timings = timings
        self._hearing = Hearing(node, members, timings)
        self._space = Space(node, (member for member in members if member != node))
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
            case PromiseRaised():
                return  # which matters to leaders
            case DiskSpace():
                self._space.said(sender.node, message, turn.now)
                self._space.decide(turn)
            case DiskMeasured():
                self._space.measured(turn, message)
                self._space.decide(turn)
            case TimerFired():
                self._on_timer(turn)
            case _:
                assert_never(message)

    def _on_timer(self, turn: Turn) -> None:
        """The tick, at which silence is noticed."""
        self._hearing.paused(turn)
        self._look(turn)
        self._space.decide(turn)  # a word that was not repeated may count no more
        self._hearing.tick_in(turn, self._timings.heartbeat_seconds)

    def _look(self, turn: Turn) -> None:
        """Tell the gateway when work can be done, and when not: the node in LeaderIs is its own, or none."""
        at_work = self._hearing.look(turn) and self._votes
        if at_work != self._at_work:
            self._at_work = at_work
            turn.send(Address(self._node, GATEWAY), LeaderIs(self._node if at_work else 0, ZERO))
