"""Whether a peer is reached, and why not."""

from __future__ import annotations

from typing import Any

from dkv.net.event_log import EventLog

REASONS_MAX = 64
"""How many reasons are remembered, so that they are not logged again."""

LOST = "the connection was lost"


class Reach:
    """Whether peer ``node`` is reached by a connection dialled to ``address``, since when, and why not.

    ``clock`` shows monotonic seconds. Each reason is logged once, until the peer is reached or has another address.
    """

    def __init__(self, node: int, address: str, clock: Any, log: EventLog) -> None:
        self._node = node
        self._address = address
        self._clock = clock
        self._log = log
        self._logged: set[str] = set()
        self._reached_at: float | None = None
        self._problem = ""
        self._problem_at = 0.0

    def readdress(self, address: str) -> None:
        """The peer is dialled elsewhere from now on."""
        self._address = address
        self._logged.clear()

    def reached(self) -> None:
        """The peer has accepted this node's Hello."""
        self._reached_at = self._clock.seconds()
        self._problem = ""
        self._logged.clear()

    def failed(self, reason: str) -> None:
        """An attempt to connect has failed."""
        self.lost(reason)
        if reason not in self._logged:
            # Reasons may quote what the network says, so there is no end to how many differ.
            if len(self._logged) >= REASONS_MAX:
                self._logged.clear()
            self._logged.add(reason)
            self._log.warning("peer_unreachable", peer=self._node, address=self._address, reason=reason)

    def lost(self, reason: str) -> None:
        """A connection has ended or was refused. The log has that already."""
        self._reached_at = None
        says_less = reason == LOST and self._problem
        if reason != self._problem and not says_less:
            self._problem, self._problem_at = reason, self._clock.seconds()

    def status(self) -> dict[str, Any]:
        """For people and JSON: for how long the peer has been reached, or what the problem is and for how long."""
        now, since = self._clock.seconds(), self._reached_at
        return {
            "connected_seconds": None if since is None else round(now - since, 1),
            "problem": self._problem or None,
            "problem_seconds": round(now - self._problem_at, 1) if self._problem else None,
        }
