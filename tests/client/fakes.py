"""Nodes that answer what a test says, each at the far end of a socket pair: no port, no thread, no process."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from dkv.client import failover
from dkv.client.blocking import Connection, Endpoint, NotSent


class FarEnd:
    """The node's end of a connection. Its answer is in the client's buffer before the client asks."""

    def __init__(self, answer: bytes, closes: bool, answer_seconds: float = 5.0) -> None:
        near, self._far = socket.socketpair()
        self._far.sendall(answer)
        if closes:
            self._far.shutdown(socket.SHUT_WR)
        self.connection = Connection(Endpoint("fake", 1), near, answer_seconds)

    def received(self) -> bytes:
        """What the client has sent so far."""
        return self._far.recv(1 << 20, socket.MSG_DONTWAIT)

    def close(self) -> None:
        """Close both ends."""
        self.connection.close()
        self._far.close()


class FakeNodes:
    """Answers by endpoint: bytes, or None for a node that cannot be reached. After its answer each node hangs up.

    ``asked`` holds the endpoint of every attempt to connect, ``requests`` what each connected node was sent.
    """

    def __init__(self, test: SynchronousTestCase, **answers: bytes | None) -> None:
        self.asked: list[str] = []
        self._answers = answers
        self._ends: list[FarEnd] = []
        self._test = test
        test.patch(failover, "connect", self._connect)

    @property
    def requests(self) -> list[bytes]:
        """What was sent, by connection."""
        return [end.received() for end in self._ends]

    def _connect(self, endpoint: Endpoint, _: float, __: float) -> Connection:
        self.asked.append(endpoint.host)
        answer = self._answers[endpoint.host]
        if answer is None:
            raise NotSent(f"cannot connect to {endpoint}: Connection refused")
        end = FarEnd(answer, closes=True)
        self._test.addCleanup(end.close)
        self._ends.append(end)
        return end.connection
