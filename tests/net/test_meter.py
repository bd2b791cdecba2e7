"""What monitoring shows of the client port is what happened there."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.net.client_port import Port, encoded

PUT_X = encoded(b"PUT", b"x", b"1")


class MeterTests(SynchronousTestCase):
    """The counters of one port."""

    def test_counts(self) -> None:
        """Requests once each, refused commands too; bytes as they are on the wire; clients as they come."""
        port = Port(connections_max=2)
        for _ in range(2):
            connection, transport = port.connect()
            stream = PUT_X * 3 + b"PING\r\nNOPE\r\n"
            connection.dataReceived(stream)
            port.answer_all()
        port.connect()
        meter = port.clients.meter
        self.assertEqual((meter.connections, port.clients.connections_refused), (2, 1))
        self.assertEqual(meter.requests, 10)
        self.assertEqual(meter.input_bytes, 2 * len(stream))
        self.assertEqual(meter.output_bytes, 2 * len(transport.value()))
        connection.dataReceived(b"*x\r\n")
        self.assertEqual((meter.requests, port.clients.inputs_refused), (11, 1), "one that is none, and known for it")

    def test_rate(self) -> None:
        """The rate is that of the last second, and nothing once it is quiet."""
        port = Port()
        connection, _ = port.connect()
        meter = port.clients.meter
        connection.dataReceived(PUT_X * 60)
        self.assertEqual(meter.requests_per_second, 0)
        port.clock.advance(1.0)
        self.assertEqual(meter.requests_per_second, 60)
        connection.dataReceived(PUT_X * 30)
        port.clock.advance(2.0)
        self.assertEqual(meter.requests_per_second, 15)
        port.clock.advance(1.0)
        self.assertEqual(meter.requests_per_second, 0)

    def test_short_visits(self) -> None:
        """Programs that connect for each request are counted as any; without clients a node wakes no more for this."""
        port = Port()
        for _ in range(10):
            connection, _ = port.connect()
            connection.dataReceived(PUT_X)
            connection.connectionLost(Failure(ConnectionDone()))
        port.clock.advance(1.0)
        self.assertEqual(port.clients.meter.requests_per_second, 10)
        port.clock.advance(1.0)
        self.assertEqual(port.clients.meter.requests_per_second, 0)
        self.assertFalse(port.clock.getDelayedCalls())
