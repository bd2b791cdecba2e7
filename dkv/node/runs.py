"""Runs: requests of one connection that travel and are answered together."""

from __future__ import annotations

from collections import deque
from typing import Any

from dkv.events import ClientRequests
from dkv.kv.commands import GET
from dkv.replies import Local


class Run:
    """Consecutive requests of one connection, as they came in one message; ``arrived`` is in monotonic seconds.

    ``in_log`` says that it travels in a batch of the log, else by a read barrier.
    """

    __slots__ = ("_items", "answered", "arrived", "connection", "entries", "in_log", "size", "writes")

    def __init__(self, requests: ClientRequests, arrived: float) -> None:
        self.connection = requests.connection
        self.arrived = arrived
        self.size = requests.size
        self.writes = requests.writes
        self.entries = requests.writes + requests.reads
        self.in_log = False
        self.answered = False
        self._items = requests.items

    def take_in(self, other: Run) -> None:
        """Let a run that holds no entries be answered behind this one."""
        assert not other.entries
        self._items.extend(other._items)
        self.size += other.size

    def log_entries(self) -> list[Any]:
        """The entries, without the local replies between them."""
        if len(self._items) == self.entries:
            return self._items
        return [item for item in self._items if type(item) is not Local]

    def replies(self, results: list[Any]) -> list[Any]:
        """The results of the entries, one each, with the local replies in their places."""
        if len(self._items) == self.entries:
            return results
        remaining = iter(results)
        return [item if type(item) is Local else next(remaining) for item in self._items]

    def outcomes(self, *, writes: Any, reads: Any) -> list[Any]:
        """One of two results for each entry, by what the entry is."""
        return [reads if entry[0] == GET else writes for entry in self.log_entries()]


def take_fitting(runs: deque[Run], bytes_max: int) -> list[Run]:
    """Take runs off the front, as many as together fit ``bytes_max`` bytes, one at least."""
    taken = [runs.popleft()]
    size = taken[0].size
    while runs and size + runs[0].size <= bytes_max:
        size += runs[0].size
        taken.append(runs.popleft())
    return taken
