"""Clients on which nothing happens are closed if the operator wants it so, and others never."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.idle_clients import LOOKS
from tests.net.client_port import Port, encoded

GET_X = encoded(b"GET", b"x")
IDLE = 8.0


class IdleTests(SynchronousTestCase):
    """One client; those that are idle for eight seconds are closed."""

    def setUp(self) -> None:
        self.port = Port(idle_seconds_max=IDLE)
        self.connection, self.transport = self.port.connect()

    def pass_time(self, seconds: float) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds * 10)):
            self.port.clock.advance(0.1)

    def check_closed_in(self, seconds: float) -> None:
        """The client is there for ``seconds`` from now on, and not much longer; it is told nothing."""
        self.transport.clear()
        self.pass_time(seconds - 0.1)
        self.assertFalse(self.transport.disconnecting)
        self.pass_time(seconds / LOOKS + 0.2)
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.transport.value(), b"")

    def test_silent_from_the_beginning(self) -> None:
        """A client that connects and says nothing is closed."""
        self.check_closed_in(IDLE)

    def test_silent_after_a_reply(self) -> None:
        """The time counts from the last request, however little it was, and from its reply."""
        for _ in range(20):
            self.connection.dataReceived(b"P")
            self.pass_time(IDLE - 0.1)
        self.assertFalse(self.transport.disconnecting)
        self.connection.dataReceived(b"ING\r\n" + GET_X)
        self.pass_time(IDLE / 2)
        self.port.answer_all()
        self.check_closed_in(IDLE)

    def test_waits_for_a_reply(self) -> None:
        """A client that waits through an election is not idle."""
        self.connection.dataReceived(GET_X)
        self.pass_time(5 * IDLE)
        self.assertFalse(self.transport.disconnecting)
        self.port.answer()
        self.check_closed_in(IDLE)

    def test_reads_slowly(self) -> None:
        """A client that has not read its replies is not idle, and nor is one that the node does not read from."""
        self.connection.pauseProducing()
        self.pass_time(5 * IDLE)
        self.connection.resumeProducing()
        self.port.clients.pause_reading()
        self.pass_time(5 * IDLE)
        self.port.clients.resume_reading()
        self.check_closed_in(IDLE)

    def test_each_for_itself(self) -> None:
        """One client's silence is not another's."""
        other, transport = self.port.connect()
        for _ in range(4):
            self.pass_time(IDLE / 2)
            other.dataReceived(b"PING\r\n")
        self.assertEqual((self.transport.disconnecting, transport.disconnecting), (True, False))

    def test_a_process_that_stood_still(self) -> None:
        """Clients are not to blame for what the node has missed itself."""
        self.port.clock.advance(100 * IDLE)
        self.assertFalse(self.transport.disconnecting)

    def test_nobody_there(self) -> None:
        """A node without clients has nothing to look after, and looks again when there are some."""
        self.connection.connectionLost(Failure(ConnectionDone()))
        self.pass_time(1.1)
        self.assertFalse(self.port.clock.getDelayedCalls())
        self.connection, self.transport = self.port.connect()
        self.check_closed_in(IDLE)

    def test_off(self) -> None:
        """Unless it is set, a client may be silent for a year."""
        port = Port()
        _, transport = port.connect()
        for _ in range(365):
            port.clock.advance(86_400)
        self.assertFalse(transport.disconnecting)
