"""The load generator of dkv: a process of its own with one thread and any number of clients.

``python -m dkv.cli.benchmarks.generator JSON`` carries out the JSON object (see ``Orders``) and prints another: the
latencies as [seconds, number of requests that took no longer], and the longest time between two acknowledgements.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dkv.client.admission import OPEN, Admission, Tls
from dkv.client.blocking import NotSent, ServerError, connect
from dkv.client.endpoint import Endpoint as Node
from dkv.client.tls_layer import TlsFailure, TlsLayer

RECEIVE_BYTES = 256 * 1024
CONNECT_SECONDS = 5.0
STEP_SECONDS = 1e-5
"""Latencies are counted in steps of this size; beyond a millisecond in steps of a hundredth of themselves."""

Endpoint = tuple[str, int]

PASSWORD = "DKV_PASSWORD"
"""The variable that has the password: a command line is for all to see."""


@dataclass(frozen=True, slots=True)
class Orders:
    """The work of a generator. Without ``seconds`` it ends after ``requests``.

    ``operation`` "fill" writes every key once, in order. With ``patience_seconds`` a client goes on to the next node,
    as in a failover, when its node ends, refuses, or is silent for so long. Without it that is an error. Clients get in
    by ``access``.
    """

    endpoints: list[Endpoint]
    operation: str
    clients: int
    pipeline: int = 1
    value_bytes: int = 64
    keys: int = 10_000
    requests: int = 0
    seconds: float = 0.0
    patience_seconds: float = 0.0
    access: Admission = field(default=OPEN)

    @classmethod
    def parse(cls, text: str, password: bytes | None) -> Orders:
        """From a JSON object, without the password."""
        fields = json.loads(text)
        files, user = fields.pop("tls", None), fields.pop("user", None)
        fields["endpoints"] = [(host, port) for host, port in fields["endpoints"]]
        tls = None if files is None else Tls(*files)
        return cls(**fields, access=Admission(tls, None if user is None else os.fsencode(user), password))


class Unusable(Exception):
    """A node refused, or a connection ended; the text says which."""


# --- requests and replies ---


def requests(orders: Orders) -> Callable[[], bytes]:
    """A function that returns the next request."""
    value = b"$%d\r\n%b\r\n" % (orders.value_bytes, b"v" * orders.value_bytes)
    chance, keys = random.Random(), orders.keys

    def write(number: int) -> bytes:
        return b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n%b" % (number, value)

    def read(number: int) -> bytes:
        return b"*2\r\n$3\r\nGET\r\n$16\r\nkey:%012d\r\n" % number

    def fill() -> Iterator[bytes]:
        while True:
            yield from map(write, range(keys))

    if orders.operation == "fill":
        return fill().__next__
    if orders.operation == "mixed":
        return lambda: (write if chance.random() < 0.5 else read)(int(chance.random() * keys))
    make = write if orders.operation == "set" else read
    return lambda: make(int(chance.random() * keys))


def whole_replies(buffer: bytes) -> tuple[int, int]:
    """The number of whole replies at the beginning of a buffer, and their bytes; ``Unusable`` if one is an error."""
    count = start = 0
    while (end := buffer.find(b"\r\n", start)) >= 0:
        kind, stop = buffer[start], end + 2
        if kind == 36 and buffer[start + 1] != 45:  # a "$", without a "-" behind it: a bulk string
            stop += int(buffer[start + 1 : end]) + 2
            if stop > len(buffer):
                break
        elif kind == 45:  # "-"
            raise Unusable(buffer[start + 1 : end].decode("utf-8", "replace"))
        start = stop
        count += 1
    return count, start


class LoadClient:
    """A client with one connection, first to ``endpoints[index]``, and ``pipeline`` requests under way."""

    def __init__(self, load: Load, index: int) -> None:
        self._load = load
        self._index = index
        self._stream: socket.socket
        self._layer: TlsLayer | None = None
        self._connected = False
        self._buffer = b""
        self._unsent = b""
        self._sent_at: deque[float] = deque()
        self.missing = 0
        """Requests under way."""

    def connect(self) -> None:
        """Connect, and send the first requests."""
        endpoints = self._load.orders.endpoints
        node = Node(*endpoints[self._index % len(endpoints)], self._load.orders.access)
        try:
            self._stream, self._layer = connect(node, CONNECT_SECONDS, CONNECT_SECONDS).detach()
        except (NotSent, ServerError) as error:
            raise Unusable(str(error)) from None
        self._stream.setblocking(False)
        self._load.selector.register(self._stream, selectors.EVENT_READ, self)
        self._connected = True
        self.ask()

    def ask(self) -> None:
        """Send the requests that are missing in the pipeline."""
        wanted = self._load.allow(self._load.orders.pipeline - self.missing)
        if wanted:
            self.missing += wanted
            self._sent_at.extend((time.perf_counter(),) * wanted)
            requests = b"".join(self._load.next_request() for _ in range(wanted))
            self._unsent += requests if self._layer is None else self._sealed(self._layer, requests)
            self.send()

    def _sealed(self, layer: TlsLayer, requests: bytes) -> bytes:
        try:
            return layer.seal(requests)
        except TlsFailure as failure:
            raise Unusable(f"a connection ended: {failure}") from None

    def send(self) -> None:
        """Hand the kernel as much as it takes, and wait until it takes the rest."""
        try:
            sent = self._stream.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise Unusable(f"a connection ended: {error.strerror}") from None
        self._unsent = self._unsent[sent:]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        if self._load.selector.get_key(self._stream).events != events:
            self._load.selector.modify(self._stream, events, self)

    def receive(self) -> None:
        """Count the replies that have come."""
        try:
            data = self._stream.recv(RECEIVE_BYTES)
            if not data:
                raise Unusable("a connection was closed")
            self._buffer += data if self._layer is None else self._layer.opened(data)
        except BlockingIOError:
            return
        except TlsFailure as failure:
            raise Unusable(f"a connection ended: {failure}") from None
        except OSError as error:
            raise Unusable(f"a connection ended: {error.strerror}") from None
        count, size = whole_replies(self._buffer)
        self._buffer = self._buffer[size:]
        self.missing -= count
        for _ in range(count):
            self._load.count(self._sent_at.popleft())
        # As redis-benchmark does: the next pipeline after this one is answered, not one request after each reply.
        if not self.missing:
            self.ask()

    def silent_since(self) -> float:
        """When the oldest request under way was sent; infinity if there is none."""
        return self._sent_at[0] if self._sent_at else float("inf")

    def move_on(self) -> None:
        """Leave this node for the next. The requests under way are sent again there."""
        if self._connected:
            self._load.selector.unregister(self._stream)
            self._stream.close()
            self._connected = False
        self._load.forget(self.missing)
        self._buffer = self._unsent = b""
        self._sent_at.clear()
        self.missing = 0
        self._index += 1


class Load:
    """All clients, and the replies that they have seen."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.selector = selectors.DefaultSelector()
        self.next_request = requests(orders)
        self.longest_gap = 0.0
        self.failures = 0
        self._left = orders.requests if not orders.seconds else 1 << 62
        self._under_way = 0
        self._steps: Counter[int] = Counter()
        self._last_at = 0.0
        self._end_at = float("inf")

    def run(self) -> dict[str, object]:
        """Run until all requests are answered, or the time is over, and return the results."""
        clients = [LoadClient(self, index) for index in range(self.orders.clients)]
        began = self._last_at = time.perf_counter()
        if self.orders.seconds:
            self._end_at = began + self.orders.seconds
        for client in clients:
            self._try(client, client.connect)
        while self._under_way or time.perf_counter() < self._end_at < float("inf"):
            for key, events in self.selector.select(0.02):
                if events & selectors.EVENT_WRITE:
                    self._try(key.data, key.data.send)
                if events & selectors.EVENT_READ:
                    self._try(key.data, key.data.receive)
            self._lose_patience(clients)
        return self._result(time.perf_counter() - began)

    def allow(self, wanted: int) -> int:
        """How many of ``wanted`` requests may still be made."""
        if time.perf_counter() >= self._end_at:
            return 0
        granted = min(wanted, self._left)
        self._left -= granted
        self._under_way += granted
        return granted

    def forget(self, missing: int) -> None:
        """Take back requests that will not be answered."""
        self._under_way -= missing
        self._left += missing

    def count(self, sent_at: float) -> None:
        """Count a reply to a request that was sent at ``sent_at``."""
        now = time.perf_counter()
        self._under_way -= 1
        self._steps[step_of(now - sent_at)] += 1
        if now < self._end_at:
            self.longest_gap = max(self.longest_gap, now - self._last_at)
        self._last_at = now

    def _try(self, client: LoadClient, call: Callable[[], None]) -> None:
        try:
            call()
        except Unusable:
            if not self.orders.patience_seconds:
                raise
            self.failures += 1
            client.move_on()

    def _lose_patience(self, clients: list[LoadClient]) -> None:
        """Move clients that have waited too long to another node, and connect those that moved."""
        patience = self.orders.patience_seconds
        if not patience:
            return
        now = time.perf_counter()
        for client in clients:
            if now - client.silent_since() > patience:
                self.failures += 1
                client.move_on()
            if not client.missing and now < self._end_at:
                self._try(client, client.connect)

    def _result(self, seconds: float) -> dict[str, object]:
        through, steps = 0, []
        for step, count in sorted(self._steps.items()):
            through += count
            steps.append((seconds_of(step), through))
        return {
            "seconds": seconds,
            "requests": through,
            "steps": steps,
            "longest_gap_seconds": self.longest_gap,
            "failures": self.failures,
        }


def step_of(seconds: float) -> int:
    """The number of the step in which a latency is counted."""
    fine = int(seconds / STEP_SECONDS)
    return fine if fine < 100 else _coarse(seconds)


def _coarse(seconds: float) -> int:
    step, bound = 100, 1e-3
    while seconds >= bound * 2:
        step, bound = step + 100, bound * 2
    return step + int((seconds / bound - 1) * 100)


def seconds_of(step: int) -> float:
    """The upper end of a step, in seconds."""
    if step < 100:
        return (step + 1) * STEP_SECONDS
    doublings, hundredths = divmod(step - 100, 100)
    return float(1e-3 * 2**doublings * (1 + (hundredths + 1) / 100))


def main() -> None:
    """Carry out the orders on the command line."""
    password = os.environ.get(PASSWORD)
    orders = Orders.parse(sys.argv[1], None if password is None else os.fsencode(password))
    try:
        print(json.dumps(Load(orders).run()))
    except Unusable as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
