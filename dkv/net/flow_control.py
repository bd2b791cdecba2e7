"""May I read? What one connection holds of its client's requests and replies, and whether it may take in more.

Five things say no:

- *choked*: the requests that are not answered yet, and the replies that they may bring, take too much memory;
- *held*: what the next request means is not known before an earlier one is answered (``holding``);
- *unread*: the client does not read its replies, so more of them must not be made;
- *paused*: the node as a whole takes in nothing for now;
- *large*: the request that is arriving has grown large, and others have to finish theirs first.
"""

from __future__ import annotations

from typing import Protocol

from dkv.net.large_requests import LARGE_BYTES, LargeRequests, Receiver
from dkv.net.unread_replies import UnreadReplies
from dkv.settings import KIB

REQUESTS_PER_MESSAGE = 128
"""A message to the gateway holds no more requests."""

REPLY_BYTES_MIN = 1 * KIB
REPLY_BYTES_AT_FIRST = 64 * KIB
"""How many bytes a reply is expected to take, until this connection's own replies tell."""


class FlowOwner(Protocol):
    """What all connections of a node share, as far as one of them asks whether it may read."""

    @property
    def paused(self) -> bool:
        """Whether no connection may read."""

    @property
    def large(self) -> LargeRequests:
        """Which large requests may go on."""

    @property
    def unread_replies(self) -> UnreadReplies:
        """Counts what clients have not read."""


class FlowControl:
    """Reckons for one connection; its caller reads, or does not, as ``may_read`` says."""

    __slots__ = (
        "_at_once",
        "_choked",
        "_ended",
        "_held",
        "_inflight_bytes_max",
        "_is_large",
        "_owner",
        "_receiver",
        "_reply_bytes",
        "inflight",
        "is_open",
        "outstanding",
        "pushed_bytes",
        "unread",
        "unread_bytes",
    )

    def __init__(self, owner: FlowOwner, receiver: Receiver, inflight_bytes_max: int) -> None:
        self.outstanding = 0
        """Requests at the gateway."""
        self.inflight = 0
        """Their bytes."""
        self.unread = False
        """Whether the client does not read its replies."""
        self.unread_bytes = 0
        """The bytes of replies that wait for the client to read them, roughly."""
        self.pushed_bytes = 0
        """The bytes of messages for a subscriber that wait for it to read them, roughly."""
        self.is_open = True
        """Whether this connection may pass on requests, unless the node as a whole is paused."""
        self._owner = owner
        self._receiver: Receiver | None = receiver
        self._inflight_bytes_max = inflight_bytes_max
        self._reply_bytes = REPLY_BYTES_AT_FIRST
        self._at_once = REQUESTS_PER_MESSAGE
        self._choked = False
        self._held = False
        self._is_large = False  # the request that was arriving when may_read was last asked
        self._ended = False

    def may_read(self, held: int) -> bool:
        """Whether to read on, with ``held`` bytes of requests that are not passed on; may change with any call here."""
        if not self.is_open or self._owner.paused:
            return False
        if held <= LARGE_BYTES and not self._is_large:
            return True
        self._is_large = held > LARGE_BYTES
        receiver = self._receiver
        return receiver is not None and self._owner.large.may_read(receiver, held)

    def lost(self) -> None:
        """The connection has ended: it is not kept from here, and so needs nobody to look for cycles."""
        self.client_has_read()
        self._receiver = None

    def room(self) -> int:
        """How many requests to pass on at once: if replies are like the last ones, these stay within the limit."""
        room = self._inflight_bytes_max // self._reply_bytes - self.outstanding
        if room >= self._at_once:
            return self._at_once
        return max(room, 1)

    def one_at_a_time(self, wanted: bool) -> None:
        """Whether no request is to be taken before the one in front of it is understood."""
        self._at_once = 1 if wanted else REQUESTS_PER_MESSAGE

    def passed_on(self, count: int, size: int) -> None:
        """``count`` more requests of ``size`` bytes are at the gateway."""
        self.outstanding += count
        self.inflight += size
        if self.inflight + self.outstanding * self._reply_bytes > self._inflight_bytes_max:
            self._choked = True
            self.is_open = False

    def answered(self, count: int, size: int, reply_size: int) -> None:
        """The gateway has answered the oldest ``count`` requests, of ``size`` bytes; the replies had ``reply_size``."""
        self.outstanding -= count
        self.inflight -= size
        if self._reply_bytes > REPLY_BYTES_MIN or reply_size > REPLY_BYTES_MIN * count or self.unread:
            self.wrote(count, reply_size)
        load = self.inflight + self.outstanding * self._reply_bytes
        if load > self._inflight_bytes_max:  # for replies are larger than was expected
            self._choked = True
            self.is_open = False
        elif self._choked and load <= self._inflight_bytes_max // 2:
            self._choked = False
            self._reopen()

    def wrote(self, count: int, size: int) -> None:
        """``count`` replies of ``size`` bytes were written."""
        # What is expected falls slowly: replies as large as these may come again behind some small ones.
        self._reply_bytes = max(REPLY_BYTES_MIN, size // count, self._reply_bytes // 2)
        if self.unread:
            self.unread_bytes += size
            self._owner.unread_replies.add(size)

    def pushed(self, size: int) -> None:
        """Messages for a subscriber, of ``size`` bytes, were written."""
        if self.unread:
            self.pushed_bytes += size

    def client_is_slow(self) -> None:
        """The client does not read: its replies fill the transport's buffer."""
        self.unread = True
        self.is_open = False

    def client_has_read(self) -> None:
        """The client has read all replies, or is gone."""
        self.unread = False
        self.pushed_bytes = 0
        self._reopen()
        if self.unread_bytes:
            self._owner.unread_replies.add(-self.unread_bytes)
            self.unread_bytes = 0

    def client_has_read_some(self, size: int) -> None:
        """The client has read ``size`` bytes, and replies wait still."""
        read = min(size, self.unread_bytes)
        self.unread_bytes -= read
        self._owner.unread_replies.add(-read)

    def hold(self) -> None:
        """Pass on nothing more until ``let_go``."""
        self._held = True
        self.is_open = False

    def let_go(self) -> None:
        """What held the connection is answered."""
        self._held = False
        self._reopen()

    def _reopen(self) -> None:
        self.is_open = not (self._choked or self.unread or self._held or self._ended)

    def end(self) -> None:
        """Take in nothing more, ever."""
        self._ended = True
        self.is_open = False
