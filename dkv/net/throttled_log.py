"""Warnings that strangers may cause by the thousand: few lines a minute, with how many more there were."""

from __future__ import annotations

from collections import Counter
from typing import Any

from dkv.net.event_log import EventLog

ADDRESS_LINES_MAX = 5
"""How many warnings of one kind about one address are logged in a minute: what a stranger makes up must not fill a
disk."""

LINES_MAX = 60
"""How many of one kind about all addresses together, since a stranger may have many."""

MINUTE_SECONDS = 60.0


class ThrottledLog:
    """Writes warnings to ``log``: in each minute one of a kind about the same address for the same reason, and not too
    many in all. Each line has the ``count`` of warnings of its kind since the last one.

    ``clock`` shows monotonic seconds.
    """

    def __init__(self, clock: Any, log: EventLog) -> None:
        self._clock = clock
        self._log = log
        self._counts: Counter[str] = Counter()
        self._minute_ends = 0.0
        self._told: set[tuple[str, str, str]] = set()  # in this minute
        self._lines: Counter[tuple[str, str]] = Counter()  # of this minute, by kind and address; "" for all addresses

    def warning(self, event: str, *, peer: str, reason: str = "", **fields: Any) -> None:
        """It has happened once more, to ``peer``; the line that tells it, if it may be written, has these fields."""
        self._counts[event] += 1
        if self._clock.seconds() >= self._minute_ends:
            self._minute_ends = self._clock.seconds() + MINUTE_SECONDS
            self._told.clear()
            self._lines.clear()
        host = peer.rpartition(":")[0] or peer
        told = event, host, reason
        if told in self._told or self._lines[event, host] >= ADDRESS_LINES_MAX or self._lines[event, ""] >= LINES_MAX:
            return
        self._told.add(told)
        self._lines[event, host] += 1
        self._lines[event, ""] += 1
        if reason:
            fields["reason"] = reason
        self._log.warning(event, peer=peer, **fields, count=self._counts.pop(event))
