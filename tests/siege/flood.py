"""The strangers: a process of its own, with a thread for each beginning and any number of connections.

``python -m tests.siege.flood JSON`` carries out a list of ``StrangersOrders``, all at once, and prints one of ``Seen``.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import struct
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import cycle

from tests.siege.beginnings import BEGINNINGS, Beginning, Talk

DRIP_SECONDS = 0.25
RECEIVE_BYTES = 64 * 1024
CONNECT_SECONDS = 5.0
LOOPBACK, ELSEWHERE = "127.0.0.1", "127.0.0.2"
"""Strangers come from another address than users: a crowd keeps out its own."""

IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: the port is chosen when it connects, so ports do not run out
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER for a connection that ends with a reset; otherwise the kernel says goodbye for it."""


@dataclass(frozen=True, slots=True)
class StrangersOrders:
    """Connect ``count`` times to ``host:port`` and begin as ``beginning`` of ``kind`` says.

    At most ``at_once`` connections are open: the oldest is given up for the next. The last ones are held until the node
    closes them, or for ``patience_seconds``. No more than ``per_second`` connections are made, unless that is 0.
    """

    host: str
    port: int
    kind: str
    beginning: str
    count: int
    at_once: int
    patience_seconds: float
    per_second: float = 0.0


@dataclass(slots=True)
class Seen:
    """What became of the connections. Each is counted in one of the first four."""

    closed: int = 0
    """The node closed it."""
    given_up: int = 0
    """The stranger did, to make room for the next."""
    refused: int = 0
    """It was not even accepted."""
    left: int = 0
    """It was still open in the end."""
    longest_seconds: float = 0.0
    """How long a connection that the node closed had been open."""
    seconds: float = 0.0
    """How long all of it took."""


class Stranger:
    """One connection."""

    def __init__(self, flood: Flood, number: int) -> None:
        self._flood = flood
        self._talk: Talk = flood.beginning.talk()
        self._drip: Iterator[int] = cycle(flood.beginning.drip)
        self._unsent = b""
        self._ends = False  # whether the talk is over once everything is sent
        self._is_connected = False
        self._has_dripped = not flood.beginning.drip
        self.made_at = time.monotonic()
        self.socket = socket.socket()
        if number % 2:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.setblocking(False)
        if flood.orders.host == LOOPBACK:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            self.socket.bind((ELSEWHERE, 0))
        self.socket.connect_ex((flood.orders.host, flood.orders.port))
        self._go_on(None)

    @property
    def said_all(self) -> bool:
        """Whether it has come as far as it wants to; one that drips has dripped once."""
        return self._has_begun and self._has_dripped

    @property
    def _has_begun(self) -> bool:
        return self._is_connected and self._ends and not self._unsent

    def _go_on(self, answer: bytes | None) -> None:
        """The next words of the talk."""
        try:
            self._unsent += next(self._talk) if answer is None else self._talk.send(answer)
        except StopIteration as last:
            self._unsent += last.value
            self._ends = True

    def send(self) -> None:
        """Send what is due; OSError if there is no connection."""
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        self._is_connected = True
        self._unsent = self._unsent[self.socket.send(self._unsent) :]
        if not self._unsent:
            self._flood.reads(self)
            self.drip()

    def receive(self) -> bool:
        """Take in what the node says, and go on with the talk; whether the node has said goodbye."""
        data = self.socket.recv(RECEIVE_BYTES)
        if not data:
            return True
        if not self._ends:
            self._go_on(data)
            if self._unsent:
                self._flood.writes(self)
        return False

    def drip(self) -> None:
        """One byte more; the node may have closed, which is seen when it is read."""
        if not self._has_begun or not self._flood.beginning.drip:
            return
        self._has_dripped = True
        try:
            self.socket.send(bytes((next(self._drip),)))
        except OSError:
            pass


class Flood:
    """All strangers of one beginning."""

    def __init__(self, orders: StrangersOrders) -> None:
        self.orders = orders
        self.beginning: Beginning = BEGINNINGS[orders.kind][orders.beginning]
        self.seen = Seen()
        self._selector = selectors.DefaultSelector()
        self._open: dict[Stranger, None] = {}
        self._drips_at = 0.0

    def run(self) -> Seen:
        """Make all connections, and hold the last ones."""
        began = time.monotonic()
        for number in range(self.orders.count):
            self._make_room()
            self._keep_pace(began, number)
            stranger = Stranger(self, number)
            self._open[stranger] = None
            self._selector.register(stranger.socket, selectors.EVENT_WRITE, stranger)
            self._look(0.0)
        deadline = time.monotonic() + self.orders.patience_seconds
        while self._open and time.monotonic() < deadline:
            self._look(0.05)
        self.seen.left = len(self._open)
        for stranger in list(self._open):
            self._end(stranger)
        self.seen.seconds = time.monotonic() - began
        return self.seen

    def _make_room(self) -> None:
        """Give up the oldest, once it has said what it came to say, if there are as many as may be."""
        while len(self._open) >= self.orders.at_once:
            oldest = next(iter(self._open))
            if oldest.said_all or time.monotonic() - oldest.made_at > CONNECT_SECONDS:
                self.seen.given_up += 1
                self._end(oldest)
            else:
                self._look(0.05)

    def _keep_pace(self, began: float, number: int) -> None:
        rate = self.orders.per_second
        while rate and (early := began + number / rate - time.monotonic()) > 0:
            self._look(early)

    def _look(self, seconds: float) -> None:
        for key, events in self._selector.select(seconds):
            stranger: Stranger = key.data
            try:
                if events & selectors.EVENT_WRITE:
                    stranger.send()
                if events & selectors.EVENT_READ and stranger.receive():
                    self._closed(stranger)
            except OSError as error:
                self._closed(stranger, isinstance(error, ConnectionRefusedError))
        now = time.monotonic()
        if self.beginning.drip and now > self._drips_at:
            self._drips_at = now + DRIP_SECONDS
            for stranger in self._open:
                stranger.drip()

    def reads(self, stranger: Stranger) -> None:
        """From now on it listens only."""
        self._selector.modify(stranger.socket, selectors.EVENT_READ, stranger)

    def writes(self, stranger: Stranger) -> None:
        """It has something to say."""
        self._selector.modify(stranger.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, stranger)

    def _closed(self, stranger: Stranger, refused: bool = False) -> None:
        if stranger not in self._open:
            return
        if refused:
            self.seen.refused += 1
        else:
            self.seen.closed += 1
            self.seen.longest_seconds = max(self.seen.longest_seconds, time.monotonic() - stranger.made_at)
        self._end(stranger)

    def _end(self, stranger: Stranger) -> None:
        del self._open[stranger]
        self._selector.unregister(stranger.socket)
        stranger.socket.close()


def main() -> None:
    """Carry out the orders on the command line."""
    floods = [Flood(StrangersOrders(**orders)) for orders in json.loads(sys.argv[1])]
    with ThreadPoolExecutor(len(floods)) as pool:
        seen = list(pool.map(Flood.run, floods))
    print(json.dumps([asdict(each) for each in seen]))


if __name__ == "__main__":
    main()
