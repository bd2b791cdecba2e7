"""Warnings that are logged once, although their cause happens again every second."""

from __future__ import annotations

from typing import Any

from dkv.net.event_log import EventLog

COMPLAINTS_MAX = 1024
"""How many complaints are remembered, so that they are not repeated. Strangers can cause as many as they like."""

Complaint = tuple[str, int | None, str]
"""The address that it is about, the node if it is known, and what is wrong."""


class OnceLog:
    """Writes each complaint to ``log`` once, until its address is forgotten."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._logged: set[Complaint] = set()

    def warn(self, complaint: Complaint, event: str, **fields: Any) -> None:
        """Log ``event``, unless that was done for the same complaint."""
        if complaint not in self._logged:
            if len(self._logged) >= COMPLAINTS_MAX:
                self._logged.clear()
            self._logged.add(complaint)
            self._log.warning(event, **fields)

    def forget(self, address: str) -> None:
        """All is well at ``address``: what breaks there from now on is news."""
        self._logged = {complaint for complaint in self._logged if complaint[0] != address}
