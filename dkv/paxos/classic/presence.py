"""In the elector's place in classic mode: nobody is elected, so all there is to say is whether work can be done.

The gateway gives its batches to its own node's proposer while this node votes and hears a quorum. Nothing here is
needed for safety, and nothing is on disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from dkv.actor import GATEWAY, Address, Turn
from dkv.ballot import ZERO
from dkv.events import LeaderIs, PeerDown, PeerHeard, PeerUp, Progress, PromiseRaised, QuorumHeard, TimerFired
from dkv.paxos.quorum import is_quorum
from dkv.settings import Timings

PresenceMessage = PeerHeard | PeerUp | PeerDown | Progress | PromiseRaised | TimerFired


class Presence:
    """Whom node ``node`` hears; ``members`` are all ids."""

    def __init__(self, node: int, members: Iterable[int], timings: Timings) -> None:
        self._node = node
        self._members = tuple(sorted(members))
        self._timings = timings
        self._heard_at: dict[int, float] = {}
        self._votes = False
        self._quorum_heard = True
        self._at_work = False
        self._ticked_at = 0.0

    def start(self, turn: Turn) -> None:
        """Begin to listen."""
        self._ticked_at = turn.now
        turn.set_timer("tick", self._timings.heartbeat_seconds)

    def receive(self, turn: Turn, sender: Address, message: PresenceMessage) -> None:
        """React to one message."""
        match message:
            case PeerHeard() | PeerUp():
                self._heard_at[message.node] = turn.now
                if not self._at_work:
                    self._look(turn)
            case PeerDown():
                self._heard_at.pop(message.node, None)
            case Progress():
                self._votes = True
                if self._heard_at:
                    self._look(turn)
            case PromiseRaised():
                return  # which matters to leaders
            case TimerFired():
                self._on_timer(turn)
            case _:
                assert_never(message)

    def _on_timer(self, turn: Turn) -> None:
        late = turn.now - self._ticked_at - self._timings.heartbeat_seconds
        self._ticked_at = turn.now
        if late > self._timings.election_seconds_min / 2:
            # This node itself stood still: what it did not hear meanwhile says nothing about the others (B21).
            turn.note("paused", seconds=round(late, 3))
            self._heard_at = dict.fromkeys(self._heard_at, turn.now)
        self._look(turn)
        turn.set_timer("tick", self._timings.heartbeat_seconds)

    def _look(self, turn: Turn) -> None:
        """Tell the gateway what has changed."""
        heard = {node for node, at in self._heard_at.items() if turn.now - at < self._timings.silence_seconds}
        quorum = is_quorum(heard | {self._node}, self._members)
        if quorum != self._quorum_heard:
            self._quorum_heard = quorum
            turn.note("quorum_heard" if quorum else "quorum_lost", heard=sorted(heard))
            turn.send(self._gateway, QuorumHeard(quorum))
        if (quorum and self._votes) != self._at_work:
            self._at_work = not self._at_work
            turn.send(self._gateway, LeaderIs(self._node if self._at_work else 0, ZERO))

    @property
    def _gateway(self) -> Address:
        return Address(self._node, GATEWAY)
