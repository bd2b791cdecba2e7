"""Which members a node hears, and whether it stood still itself: the same watch in both modes.

Any bytes of a member count as a sign of life. A node that stood still (its process was stopped, or its machine was
busy) has heard nobody meanwhile, and that says nothing about the others (B21): it takes every sign for fresh again.
"""

from __future__ import annotations

from collections.abc import Iterable

from dkv import noted
from dkv.actor import GATEWAY, Address, Turn
from dkv.client_events import QuorumHeard
from dkv.configurations import Configuration
from dkv.settings import Timings


class Signs:
    """When each node last gave a sign, in monotonic seconds."""

    def __init__(self, nodes: Iterable[int] = (), now: float = 0.0) -> None:
        self._at = dict.fromkeys(nodes, now)

    def __bool__(self) -> bool:
        return bool(self._at)

    def __contains__(self, node: int) -> bool:
        """Whether ``node`` gave a sign at some time and was not lost since."""
        return node in self._at

    def came(self, node: int, now: float) -> None:
        """``node`` gives a sign."""
        self._at[node] = now

    def lost(self, node: int) -> None:
        """The connections with ``node`` are gone: its signs count no more."""
        self._at.pop(node, None)

    def refresh(self, now: float) -> None:
        """Take all signs for fresh."""
        self._at = dict.fromkeys(self._at, now)

    def within(self, now: float, seconds: float) -> set[int]:
        """The nodes whose last sign is less than ``seconds`` old."""
        return {node for node, at in self._at.items() if now - at < seconds}


class Hearing:
    """What node ``node`` hears of the other members, looked at with each tick of its timer."""

    def __init__(self, node: int, timings: Timings) -> None:
        self.signs = Signs()
        self._node = node
        self._timings = timings
        self._quorum = True
        self._ticked_at = 0.0
        self._tick_seconds = 0.0

    def start(self, turn: Turn) -> None:
        """Begin to tick."""
        self._ticked_at = turn.now
        self.tick_in(turn, self._timings.heartbeat_seconds)

    def tick_in(self, turn: Turn, seconds: float) -> None:
        """Set the timer of the next tick."""
        self._tick_seconds = seconds
        turn.set_timer("tick", seconds)

    def paused(self, turn: Turn) -> bool:
        """Whether this tick comes so late that the node itself must have stood still; then all signs are fresh."""
        late = turn.now - self._ticked_at - self._tick_seconds
        self._ticked_at = turn.now
        if late <= self._timings.election_seconds_min / 2:
            return False
        turn.note(noted.paused, seconds=round(late, 3))
        self.signs.refresh(turn.now)
        return True

    def hears(self, node: int, now: float) -> bool:
        """Whether ``node`` was heard of late."""
        return node in self.signs.within(now, self._timings.silence_seconds)

    def look(self, turn: Turn, in_force: Configuration) -> bool:
        """Whether a quorum of the set in force is heard, this node included; the gateway is told when that changes."""
        heard = self.signs.within(turn.now, self._timings.silence_seconds)
        quorum = in_force.decides(heard | {self._node})
        if quorum != self._quorum:
            self._quorum = quorum
            turn.note(noted.quorum_heard if quorum else noted.quorum_lost, heard=sorted(heard))
            turn.send(Address(self._node, GATEWAY), QuorumHeard(quorum))
        return quorum
