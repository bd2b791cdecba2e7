"""Messages for subscribers, from the exchange of a node to its clients' connections; and how much they may not read.

One subscriber may leave ``subscriber_bytes_max`` bytes unread, and all of them ``node_replies_bytes_max``. Beyond that
the slowest one is cut off at once: what it does not read takes memory, and nobody can ask a publisher to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from dkv.client_events import CountsElsewhere, Deliver, Posted
from dkv.net.throttled_log import ThrottledLog
from dkv.pubsub.exchange import Exchange
from dkv.replies import Notice
from dkv.settings import Limits

WRITTEN_TO_AT_ONCE = 256
"""How many subscribers get something before the reactor looks at other sockets and timers again."""

WRITTEN_TO_TOGETHER = 16
"""How many of them get something before it is looked at how much all of them leave unread."""


WORK_AT_ONCE = 20_000
"""How much clients may make the exchange do before others have their turn (``Exchange.work``)."""

CALM, BUSY = 128, 8
"""How many requests of a connection are passed on before it is looked at how much was done; and how many behind a turn
in which it was too much."""


class Listener(Protocol):
    """A connection, as far as its client has subscribed to something."""

    @property
    def peer(self) -> str:
        """The address of the client."""

    @property
    def unread_bytes(self) -> int:
        """What waits for its client to read it, roughly."""

    def push(self, notices: list[Notice]) -> None:
        """Write messages."""

    def kill(self) -> None:
        """End the connection now."""


class Deliveries:
    """Writes what the exchange has for ``listeners``, and hands ``deliver`` what it has for the relay."""

    def __init__(
        self,
        exchange: Exchange,
        limits: Limits,
        listeners: Mapping[int, Listener],
        deliver: Callable[[Posted], None],
        wake: Callable[[], None],
        complaints: ThrottledLog,
    ) -> None:
        self.exchange = exchange
        self._limits = limits
        self._listeners = listeners
        self._deliver = deliver
        self._wake = wake
        self._complaints = complaints
        self._slow: dict[int, Listener] = {}
        self.requests_at_once = CALM
        """How many requests of a connection are passed on in a row."""
        self.work_max = WORK_AT_ONCE
        """When the exchange has done so much, clients have published enough in this turn."""
        self.cut_off = 0
        """How many subscribers were cut off so far, since they did not read."""

    @property
    def unread_bytes(self) -> int:
        """What waits for subscribers that are slow to read it, roughly."""
        return sum(listener.unread_bytes for listener in self._slow.values())

    def take_in(self, message: Deliver | CountsElsewhere) -> None:
        """The relay has something for the exchange."""
        if type(message) is Deliver:
            self.exchange.deliver(message.postings)
        elif type(message) is CountsElsewhere:
            self.exchange.counts_elsewhere(message.node, message.anew, message.counts)

    @property
    def is_busy(self) -> bool:
        """Whether clients have published enough in this turn."""
        return self.exchange.work > self.work_max

    def collect(self) -> None:
        """Write to subscribers, and tell the relay. A turn is over."""
        exchange = self.exchange
        self.requests_at_once = BUSY if self.is_busy else CALM
        self.work_max = exchange.work + WORK_AT_ONCE
        posted = exchange.take_posted()
        if posted is not None:
            self._deliver(posted)
        if exchange.has_mail:
            self._write()
        for number in exchange.take_overfull():
            self._cut(number, "more is published than can be written to it")

    def _write(self) -> None:
        """Write to those that have waited longest. If they do not read, that is noticed before all of them have it."""
        gained = 0
        for _ in range(WRITTEN_TO_AT_ONCE // WRITTEN_TO_TOGETHER):
            gained += self._write_to(self.exchange.take(WRITTEN_TO_TOGETHER))
            if gained > self._limits.node_replies_bytes_max // 4:
                self._bound_all()
                gained = 0
        if self._slow:
            self._bound_all()
        if self.exchange.has_mail:
            self._wake()

    def _write_to(self, taken: list[tuple[int, list[Notice]]]) -> int:
        """Write these notices to these connections; how many bytes they leave unread by now."""
        bytes_max = self._limits.subscriber_bytes_max
        left = 0
        for number, notices in taken:
            listener = self._listeners.get(number)
            if listener is None:
                continue
            listener.push(notices)
            unread = listener.unread_bytes
            if unread > bytes_max:
                self._cut(number, f"limits.subscriber_bytes_max is {bytes_max}")
            elif unread:
                self._slow[number] = listener
                left += unread
        return left

    def _bound_all(self) -> None:
        """All slow subscribers together leave too much unread: cut off those that leave most."""
        slow = self._slow = {number: each for number, each in self._slow.items() if each.unread_bytes}
        bytes_max = self._limits.node_replies_bytes_max
        unread = self.unread_bytes
        while unread > bytes_max:
            slowest = max(slow, key=lambda number: slow[number].unread_bytes)
            unread -= slow[slowest].unread_bytes
            self._cut(slowest, f"all subscribers leave too much unread, limits.node_replies_bytes_max is {bytes_max}")

    def _cut(self, number: int, reason: str) -> None:
        self._slow.pop(number, None)
        self.exchange.leave(number)
        listener = self._listeners.get(number)
        if listener is not None:
            self.cut_off += 1
            unread = listener.unread_bytes
            self._complaints.warning("subscriber_cut_off", peer=listener.peer, unread_bytes=unread, reason=reason)
            listener.kill()
