"""Which clocks are off: the leader looks at what heartbeats bring, and says so once for each change."""

from __future__ import annotations

from collections.abc import Mapping

from dkv import noted
from dkv.actor import Turn

OFF_SECONDS = 10.0
"""How far a wall clock may be from the replicated time before somebody should look at it."""


class ClockWatch:
    """The clocks that one node, as leader, has found to be off."""

    def __init__(self) -> None:
        self._off: set[int] = set()

    def look(self, turn: Turn, time_ms: int, clocks: Mapping[int, float]) -> None:
        """It is ``time_ms``; ``clocks`` are milliseconds ahead of this node's monotonic clock, by node."""
        offsets = {node: round(turn.now + (clock - time_ms) / 1000, 3) for node, clock in clocks.items()}
        turn.note(noted.clocks_compared, time_ms=time_ms, offsets=offsets)
        for node, offset in offsets.items():
            if (abs(offset) > OFF_SECONDS) == (node in self._off):
                continue
            if node in self._off:
                self._off.remove(node)
                turn.note(noted.clock_agrees, peer=node, seconds=offset)
            else:
                self._off.add(node)
                turn.note(noted.clock_off, peer=node, seconds=offset)
