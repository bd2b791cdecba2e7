"""Large requests that never get finished cannot fill a node's memory, and finished ones all get through."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.large_requests import LARGE_SECONDS
from dkv.settings import KIB, MIB, Limits
from tests.net.client_port import Port, encoded

LIMITS = Limits(connection_inflight_bytes_max=8 * MIB, node_inflight_bytes_max=16 * MIB)  # two large ones at a time
REQUEST = encoded(b"PUT", b"k", b"v" * MIB)


class LargeRequestTests(SynchronousTestCase):
    """Connections in the middle of a large request."""

    def setUp(self) -> None:
        self.port = Port(LIMITS)
        self.pairs = [self.port.connect() for _ in range(6)]
        for connection, _ in self.pairs:
            connection.dataReceived(REQUEST[: 128 * KIB])

    def reading(self) -> list[int]:
        """Which connections are read."""
        return [index for index, (_, transport) in enumerate(self.pairs) if transport.producerState == "producing"]

    def test_one_after_the_other(self) -> None:
        """All large values are stored in the end, and small requests are served meanwhile."""
        served: list[int] = []
        while len(served) < len(self.pairs):
            reading = [index for index in self.reading() if index not in served]
            self.assertEqual(len(reading), min(2, len(self.pairs) - len(served)))
            connection, transport = self.pairs[reading[0]]
            connection.dataReceived(REQUEST[128 * KIB :])
            self.port.answer()
            self.assertEqual(transport.value(), b"+OK\r\n")
            served.append(reading[0])
        self.assertEqual(served, list(range(6)))
        self.assertIsNone(self.port.clients.large._watch)
        small, transport = self.port.connect()
        small.dataReceived(b"PING\r\n")
        self.assertEqual(transport.value(), b"+PONG\r\n")

    def test_gone(self) -> None:
        """A client that leaves in the middle makes room."""
        self.assertEqual(self.reading(), [0, 1])
        self.pairs[2][0].connectionLost(Failure(ConnectionDone()))
        self.pairs[0][0].connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reading(), [0, 1, 3])

    def test_closing(self) -> None:
        """A client that is being closed in the middle makes room at once, and not when it has read its last replies."""
        self.pairs[0][0].finish()
        self.assertTrue(self.pairs[0][1].disconnecting)
        self.assertIn(2, self.reading())

    def test_too_slow(self) -> None:
        """Clients that stop in the middle are told so and closed when others wait, and only then."""
        self.port.clock.advance(LARGE_SECONDS)
        for index in (0, 1):
            _, transport = self.pairs[index]
            self.assertIn(b"-TRYAGAIN the request took more than 10 s to arrive", transport.value())
            self.assertTrue(transport.half_closed)
        self.assertEqual(self.reading()[2:], [2, 3])
        for connection, _ in self.pairs[4:]:
            connection.connectionLost(Failure(ConnectionDone()))
        self.port.clock.advance(LARGE_SECONDS)
        for index in (2, 3):
            self.assertEqual(self.pairs[index][1].value(), b"", "nobody waits")
