"""A bound on the replies that wait for clients to read them, over all clients of a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

UNREAD_SECONDS = 2.0
"""How long too many replies may wait for their clients: well below the request timeout, as others wait meanwhile."""

CUT_SECONDS = 0.1
"""The time between two clients that are cut off: the memory of a closed connection is free a moment later."""


class Reader(Protocol):
    """A connection, as far as its unread replies are concerned."""

    @property
    def unread_bytes(self) -> int:
        """What waits for its client to read it, roughly."""

    def cut_off(self) -> None:
        """End the connection now. Its client does not read."""


class UnreadReplies:
    """Counts what waits. Beyond ``bytes_max`` no reads are evaluated for anybody, so it may not stay there for long.

    ``tell`` is told that there is too much, and that there is not any more, at half of the limit.
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
        self._cutting: Any = None  # the call that looks whether clients have read since

    def add(self, size: int) -> None:
        """Replies of ``size`` bytes wait for their client to read them; below 0: they do no more."""
        self._bytes += size
        full = self._bytes > (self._bytes_max // 2 if self._full else self._bytes_max)
        if full != self._full:
            self._full = full
            self._tell(full)
            if full and self._cutting is None:
                self._cutting = self._reactor.callLater(UNREAD_SECONDS, self._cut_off)

    def stop(self) -> None:
        """Cut nobody off any more."""
        if self._cutting is not None and self._cutting.active():
            self._cutting.cancel()

    def _cut_off(self) -> None:
        """Replies still fill the memory: end the connection that has most of them, and look again soon."""
        self._cutting = None
        if self._full:
            max(self._readers(), key=lambda reader: reader.unread_bytes).cut_off()
            self._cutting = self._reactor.callLater(CUT_SECONDS, self._cut_off)
