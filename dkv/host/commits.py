"""Which commit is under way, which are on disk, and which messages wait for which of them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from dkv.actor import Address

Parcel = tuple[Address, Address, Any]
"""A message that is ready to go: its receiver, its sender, and the message."""


class Commits:
    """Numbers the commits of one host, of which one at a time is under way; times are in monotonic seconds."""

    __slots__ = ("_began_at", "_held", "begun", "durable", "under_way")

    def __init__(self) -> None:
        self.begun = 0
        """The number of the newest commit that the store was given."""
        self.durable = 0
        """The number of the newest commit that is on disk."""
        self.under_way = False
        """Whether the store is at work on a commit."""
        self._began_at = 0.0
        self._held: defaultdict[int, list[Parcel]] = defaultdict(list)

    def seconds(self, now: float) -> float:
        """For how long the newest commit has been under way."""
        return now - self._began_at

    def hold(self, number: int, sender: Address, outbox: list[tuple[Address, Any]]) -> None:
        """Keep what ``sender`` sent until commit ``number`` is on disk."""
        self._held[number].extend((to, sender, message) for to, message in outbox)

    def begin(self, now: float) -> None:
        """The store is given the next commit."""
        assert not self.under_way
        self.under_way = True
        self.begun += 1
        self._began_at = now

    def end(self) -> list[Parcel]:
        """The commit under way is on disk; the messages that waited for it, in the order in which they were sent."""
        self.under_way = False
        self.durable = self.begun
        return self._held.pop(self.durable, [])
