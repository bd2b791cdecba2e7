"""The place of the client port in a simulated node: requests go in, replies come out.

Subscribers are served by the parts that a real port has, ``Exchange`` and ``Deliveries``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from dkv.actor import CLIENTS, GATEWAY, PUBSUB, Address, Turn
from dkv.client_events import (
    ClientGone,
    ClientReplies,
    ClientRequests,
    CountsElsewhere,
    Deliver,
    Posted,
    Replies,
    Requests,
)
from dkv.host.host import Host
from dkv.net.deliveries import Deliveries, Listener
from dkv.net.throttled_log import ThrottledLog
from dkv.pubsub.exchange import Exchange
from dkv.settings import Limits
from dkv.sim.constants import constants
from dkv.sim.plan import ENCODING_BYTES

SUBSCRIBER_BYTES_MAX = 2_000
"""``subscriber_bytes_max`` here: a subscriber that does not read is cut off soon."""


class Subscriber(Listener, Protocol):
    """A connection of the audience (``audience.py``): what a node has for it goes here, and its replies too."""

    def answered(self, replies: Replies) -> None:
        """The gateway has answered its oldest requests."""


class _Nowhere:
    """Takes log lines that nobody reads."""

    def warning(self, event: str, **fields: Any) -> None:
        """A subscriber was cut off."""

    info = warning


class SimulatedPort:
    """Stands in for the client port: hands replies on, and holds requests while reading is paused.

    ``lives`` says whether the node still is in the life of ``host``; ``resumes`` is called when reading goes on.
    """

    def __init__(
        self,
        number: int,
        host: Host,
        limits: Limits,
        lives: Callable[[], bool],
        replied: Callable[[Replies], None],
        resumes: Callable[[], None],
    ) -> None:
        self._number = number
        self._host = host
        self._lives = lives
        self._replied = replied
        self._resumes = resumes
        self._paused = False
        self._arrived: list[Requests] = []
        self._gone: list[ClientGone] = []
        self.subscribers: dict[int, Subscriber] = {}
        """Those of the audience that are connected here, by the numbers of their connections."""
        with constants({"dkv.settings.ENCODING_BYTES": ENCODING_BYTES}):
            small = replace(limits, subscriber_bytes_max=SUBSCRIBER_BYTES_MAX)
        self.deliveries = Deliveries(
            Exchange(small, host.wake),
            small,
            self.subscribers,
            self._post,
            host.wake,
            ThrottledLog(host.clock, _Nowhere()),
        )

    def _post(self, posted: Posted) -> None:
        self._host.deliver(PUBSUB, Address(self._number, CLIENTS), posted)

    def start(self, turn: Turn) -> None:
        """There is nothing to load."""

    def receive(self, turn: Turn, sender: Address, message: ClientReplies | Deliver | CountsElsewhere) -> None:
        """Answer clients, or take in what the relay has for them."""
        if not isinstance(message, ClientReplies):
            self.deliveries.take_in(message)
            return
        for replies in message.replies:
            subscriber = self.subscribers.get(replies.connection)
            if subscriber is None:
                self._replied(replies)
            else:
                subscriber.answered(replies)

    def take(self, message: Requests | ClientGone) -> None:
        """A client's bytes came in, or its connection ended; ignored if this life has ended meanwhile."""
        if not self._lives():
            return
        if isinstance(message, ClientGone):
            self._gone.append(message)
        else:
            self._arrived.append(message)
        self._host.wake()

    def collect(self) -> None:
        """Deliver the requests that came in, unless reading is paused; and what subscribers are to get."""
        self.deliveries.collect()
        if self._paused or not (self._arrived or self._gone):
            return
        arrived, self._arrived = self._arrived, []
        gone, self._gone = self._gone, []
        address = Address(self._number, CLIENTS)
        if arrived:
            self._host.deliver(GATEWAY, address, ClientRequests(arrived))
        for message in gone:
            self._host.deliver(GATEWAY, address, message)

    @property
    def paused(self) -> bool:
        """Whether requests of clients are held back."""
        return self._paused

    def pause_reading(self) -> None:
        """Hold requests back for now."""
        self._paused = True

    def resume_reading(self) -> None:
        """Go on reading."""
        self._paused = False
        self._resumes()
        self._host.wake()
