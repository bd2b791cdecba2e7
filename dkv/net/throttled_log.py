"""Warnings that a storm of clients may cause by the thousand: a line a second, with how many there were."""

from __future__ import annotations

from typing import Any

from dkv.net.event_log import EventLog

LOG_SECONDS = 1.0
"""Warnings of one kind are logged no more often."""


class ThrottledLog:
    """Writes the first warning of each kind to ``log``, and then one a second; each with the ``count`` since the last.

    ``clock`` shows monotonic seconds.
    """

    def __init__(self, clock: Any, log: EventLog) -> None:
        self._clock = clock
        self._log = log
        self._counts: dict[str, int] = {}
        self._logged_at: dict[str, float] = {}

    def warning(self, event: str, **fields: Any) -> None:
        """It has happened once more; the line that tells it, if one is due, has the fields of this time."""
        now = self._clock.seconds()
        count = self._counts[event] = self._counts.get(event, 0) + 1
        logged_at = self._logged_at.get(event)
        if logged_at is None or now - logged_at >= LOG_SECONDS:
            self._counts[event], self._logged_at[event] = 0, now
            self._log.warning(event, **fields, count=count)
