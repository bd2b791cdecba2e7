"""Nodes that answer what a test says, each at the far end of a socket pair: no port, no thread, no process."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.client import race, session
from dkv.client.blocking import Connection, Endpoint, NotSent

_TEN_SECONDS = struct.pack("ll", 10, 0)  # a timeval

Answers = bytes | tuple[bytes, ...] | None


class Near(socket.socket):
    """The client's end of a pair; ``asked`` is called whenever something was sent."""

    asked: Callable[[], None]

    def send(self, *arguments: Any) -> int:
        """As a socket does."""
        sent = super().send(*arguments)
        self.asked()
        return sent


class FarEnd:
    """The node's end of a connection. It gives its next answer whenever it was sent something; with ``closes`` it hangs
    up after the last one."""

    def __init__(self, *answers: bytes, closes: bool, answer_seconds: float = 5.0) -> None:
        near, self._far = socket.socketpair()
        self._far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TEN_SECONDS)  # nobody else reads what it sends
        self._answers = list(answers)
        self._closes = closes
        stream = Near(fileno=near.detach())
        stream.asked = self._answer
        self.on_sent: Callable[[], None] = lambda: None
        self.connection = Connection(Endpoint("fake", 1), stream, answer_seconds)

    def _answer(self) -> None:
        if self._answers:
            self._far.sendall(self._answers.pop(0))
        if self._closes and not self._answers:
            self._far.shutdown(socket.SHUT_WR)
        self.on_sent()

    def say(self, data: bytes) -> None:
        """Send what nobody asked for."""
        self._far.sendall(data)

    def hang_up(self) -> None:
        """Send nothing more."""
        self._far.shutdown(socket.SHUT_RDWR)

    def received(self) -> bytes:
        """The bytes that the client has sent so far."""
        try:
            return self._far.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Close both ends."""
        self.connection.close()
        self._far.close()


class FakeNodes:
    """Answers by endpoint: bytes, several in turn, or None for a node that cannot be reached. After its last answer
    each node hangs up.

    ``asked`` holds the endpoint of every attempt to connect, ``requests`` what each connected node was sent. No node is
    asked because another one takes its time.
    """

    def __init__(self, test: SynchronousTestCase, **answers: Answers) -> None:
        self.asked: list[str] = []
        self._answers = answers
        self._ends: list[FarEnd] = []
        self._test = test
        for module in (race, session):
            test.patch(module, "connect", self.connect)
        test.patch(session, "voters", lambda *_: [])
        test.patch(race, "MOMENT_SECONDS", 60.0)

    @property
    def requests(self) -> list[bytes]:
        """The bytes that were sent, by connection."""
        return [end.received() for end in self._ends]

    def connect(self, endpoint: Endpoint, _: float, __: float) -> Connection:
        """In place of ``dkv.client.blocking.connect``."""
        self.asked.append(endpoint.host)
        answer = self._answers[endpoint.host]
        if answer is None:
            raise NotSent(f"cannot connect to {endpoint}: Connection refused")
        end = FarEnd(*((answer,) if isinstance(answer, bytes) else answer), closes=True)
        end.connection.endpoint = endpoint
        self._test.addCleanup(end.close)
        self._ends.append(end)
        return end.connection
