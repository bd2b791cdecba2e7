"""Telling one peer how many subscribers this node has: one bounded piece at a time, until it has heard that."""

from __future__ import annotations

from collections.abc import Mapping

from dkv.pubsub_messages import Count, Name, SubscriberCounts

PIECE_BYTES_MAX = 64 * 1024
"""How many bytes one message has that tells counts; it tells one name at least."""

COUNT_BYTES = 24
"""What a count takes in a message beside the name, at most."""

CHANGES_MAX = 10_000
"""If more names than this are to be told beyond those that there are, all of them are told anew."""


class Telling:
    """What one peer has yet to be told of ``counts``, those of this node by name. It begins with all of them.

    A peer that was told nothing yet is told nothing until there is something: it knows of no counts. No message has
    more than ``bytes_max`` bytes, unless a single name has.
    """

    def __init__(self, counts: Mapping[Name, int], bytes_max: int = PIECE_BYTES_MAX) -> None:
        self._counts = counts
        self._bytes_max = min(bytes_max, PIECE_BYTES_MAX)
        self._awaited = 0  # the number of the piece that the peer has not heard yet, as far as is known; 0: none
        self._sent_at = 0.0
        self._has_told = False
        self._anew = True
        self._due: dict[Name, None] = {}
        self.begin_anew()

    def begin_anew(self) -> None:
        """Tell everything again, whatever was told before."""
        self._awaited = 0
        self._anew = True
        self._due = dict.fromkeys(self._counts)

    def changed(self, name: Name) -> None:
        """The count of this name has changed."""
        self._due[name] = None
        if len(self._due) > len(self._counts) + CHANGES_MAX:
            self.begin_anew()

    def heard(self, number: int) -> None:
        """The peer has heard piece ``number``. It knows nothing if that is 0, and wants to."""
        if number == 0:
            self._has_told = True
            self.begin_anew()
        elif number == self._awaited:
            self._awaited = 0

    @property
    def waits(self) -> bool:
        """Whether a piece is on its way."""
        return self._awaited > 0

    def has_waited(self, seconds: float, now: float) -> bool:
        """Whether a piece was sent so long ago, and nothing is heard of it."""
        return self._awaited > 0 and now - self._sent_at >= seconds

    def next_piece(self, boot: int, number: int, now: float) -> SubscriberCounts | None:
        """The next message for the peer, which gets this ``number``; None if it has to wait, or knows everything."""
        if self._awaited or not (self._due or (self._anew and self._has_told)):
            return None
        counts: list[Count] = []
        size = 0
        for name in self._due:
            size += COUNT_BYTES + len(name[1])
            if counts and size > self._bytes_max:
                break
            counts.append((*name, self._counts.get(name, 0)))
        for kind, text, _ in counts:
            del self._due[kind, text]
        anew, self._anew = self._anew, False
        self._has_told = True
        self._awaited, self._sent_at = number, now
        return SubscriberCounts(boot, number, anew, tuple(counts))
