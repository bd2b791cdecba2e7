"""A bound on the replies that wait for clients to read them, over all clients of a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

UNREAD_SECONDS = 2.0
"""How long too many replies may wait for clients that do not read: well below the request timeout, as others wait
meanwhile."""

CUT_SECONDS = 0.1
"""The time between two clients that are cut off: the memory of a closed connection is free a moment later."""

READS_ENOUGH = 4
"""A client reads if, each ``UNREAD_SECONDS``, one part in so many is gone of what waited for it at first: then it has
read all of it in eight seconds, and others wait no longer."""


class Reader(Protocol):
    """A connection, as far as its unread replies are concerned."""

    @property
    def unread_bytes(self) -> int:
        """What waits for its client to read it, roughly."""

    @property
    def taken_bytes(self) -> int:
        """How many bytes its socket has taken so far; always 0 if that cannot be known."""

    def has_read(self, size: int) -> None:
        """``size`` bytes of its replies wait no longer."""

    def cut_off(self) -> None:
        """End the connection now. Its client does not read."""


@dataclass(slots=True)
class _Seen:
    """How many bytes waited for a reader at the first look, and how many its socket had taken at the last one."""

    waited: int
    taken: int


class UnreadReplies:
    """Counts what waits. Beyond ``bytes_max`` no reads are evaluated for anybody, so it may not stay there for long.

    ``tell`` is told that there is too much, and that there is not any more, at half of the limit.

    A connection counts what it has written until its transport has nothing left to send. A client that reads steadily
    may not come to that for long. So while there is too much, it is looked up how much each has really read. Those who
    read go on, and the others end, the largest first.
    """

    def __init__(
        self, reactor: Any, bytes_max: int, tell: Callable[[bool], None], readers: Callable[[], Iterable[Reader]]
    ) -> None:
        self._reactor = reactor
        self._bytes_max = bytes_max
        self._tell = tell
        self._readers = readers
        self._bytes = 0
        self._full = False
        self._seen: dict[Reader, _Seen] = {}  # while there is too much
        self._idle: list[Reader] = []  # do not read, the largest last
        self._next: Any = None  # looks whether clients have read since

    def add(self, size: int) -> None:
        """Replies of ``size`` bytes wait for their client to read them; below 0: they do no more."""
        self._bytes += size
        full = self._bytes > (self._bytes_max // 2 if self._full else self._bytes_max)
        if full != self._full:
            self._full = full
            self._tell(full)
            if full and self._next is None:
                self._seen = {reader: self._first_look_at(reader) for reader in self._waited_for()}
                self._next = self._reactor.callLater(UNREAD_SECONDS, self._look)

    def stop(self) -> None:
        """Cut nobody off any more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _waited_for(self) -> list[Reader]:
        return [reader for reader in self._readers() if reader.unread_bytes]

    def _first_look_at(self, reader: Reader) -> _Seen:
        return _Seen(reader.unread_bytes, reader.taken_bytes)

    def _look(self) -> None:
        """Time has passed: who has read?"""
        seen, self._seen = self._seen, {}
        for reader in self._waited_for():
            before = seen.get(reader)
            self._seen[reader] = self._first_look_at(reader) if before is None else before
            if before is not None and self._has_read(reader, before) * READS_ENOUGH < before.waited:
                self._idle.append(reader)
        self._idle.sort(key=lambda reader: reader.unread_bytes)
        self._cut_off()

    def _has_read(self, reader: Reader, before: _Seen) -> int:
        """How many bytes it has read since it was looked at ``before``; they do not count any more."""
        taken = reader.taken_bytes
        read, before.taken = max(0, taken - before.taken), taken
        reader.has_read(read)
        return read

    def _cut_off(self) -> None:
        """Replies still fill the memory: end the connection that has most of them, and look again soon."""
        self._next = None
        if not self._full:
            self._seen, self._idle = {}, []
            return
        while self._idle and not self._idle[-1].unread_bytes:
            self._idle.pop()  # it has read all of it meanwhile, or is gone
        if self._idle:
            self._idle.pop().cut_off()
            self._next = self._reactor.callLater(CUT_SECONDS, self._cut_off)
        else:
            self._next = self._reactor.callLater(UNREAD_SECONDS, self._look)
