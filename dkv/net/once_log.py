"""Warnings that are logged once, although their cause happens again every second."""

from __future__ import annotations

from collections import Counter
from typing import Any

from dkv.net.event_log import EventLog

COMPLAINTS_MAX = 1024
"""How many complaints are remembered, so that they are not repeated. Strangers can cause as many as they like."""

LINES_MAX = 20
"""How many complaints about one address are logged in a minute: what a stranger makes up must not fill a disk."""

ALL_LINES_MAX = 200
"""How many about all addresses together, since a stranger may have many."""

MINUTE_SECONDS = 60.0

Complaint = tuple[str, int | None, str]
"""The address that it is about, the node if it is known, and what is wrong."""


class OnceLog:
    """Writes each complaint to ``log`` once, until its address is forgotten. ``clock`` shows monotonic seconds.

    What would be too much in a minute is counted instead, and said later if it happens again.
    """

    def __init__(self, clock: Any, log: EventLog) -> None:
        self._clock = clock
        self._log = log
        self._logged: set[Complaint] = set()
        self._minute_ends = 0.0
        self._lines: Counter[str] = Counter()  # of this minute, by address
        self._withheld = 0

    def warn(self, complaint: Complaint, event: str, **fields: Any) -> None:
        """Log ``event``, unless that was done for the same complaint, or there were too many."""
        if complaint in self._logged:
            return
        if self._clock.seconds() >= self._minute_ends:
            self._begin_minute()
        address = complaint[0]
        if self._lines[address] >= LINES_MAX or self._lines.total() >= ALL_LINES_MAX:
            self._withheld += 1
            return
        self._lines[address] += 1
        if len(self._logged) >= COMPLAINTS_MAX:
            self._logged.clear()
        self._logged.add(complaint)
        self._log.warning(event, **fields)

    def _begin_minute(self) -> None:
        """Tell how much was not told in the minute that is over."""
        self._minute_ends = self._clock.seconds() + MINUTE_SECONDS
        self._lines.clear()
        if self._withheld:
            self._log.warning("complaints_withheld", count=self._withheld)
            self._withheld = 0

    def forget(self, address: str) -> None:
        """All is well at ``address``: what breaks there from now on is news."""
        self._logged = {complaint for complaint in self._logged if complaint[0] != address}
