"""What is sent at once is all that was sent, in order, whatever the socket takes and whenever the reactor comes by."""

from __future__ import annotations

import errno
from collections import deque
from typing import Any, cast
from unittest.mock import Mock

from twisted.internet.error import ConnectionDone
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.tcp import Connection
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.node.reactor import send_at_once

FULL = BlockingIOError(errno.EAGAIN, "it takes nothing now")
RESET = ConnectionResetError(errno.ECONNRESET, "the peer is gone")


class Socket:
    """Takes as many bytes as ``script`` says, or raises what it says; behind its end all that there are."""

    def __init__(self) -> None:
        self.script: deque[int | OSError] = deque()
        self.taken: list[bytes] = []

    def setblocking(self, flag: bool) -> None:
        """Nothing to see."""

    def fileno(self) -> int:
        return -1

    def shutdown(self, how: int) -> None:
        """Nothing to see."""

    def close(self) -> None:
        """As if another socket had the number now: what is sent to this one would be seen."""

    def send(self, data: bytes) -> int:
        step = self.script.popleft() if self.script else len(data)
        if isinstance(step, OSError):
            raise step
        self.taken.append(bytes(data[:step]))
        return step


class Transport(Connection):
    """A connection with such a socket, which shows what it was given to write."""

    def __init__(self, tls: bool = False) -> None:
        self.fake = Socket()
        self.reactor_calls = Mock()
        super().__init__(cast(Any, self.fake), Mock(), self.reactor_calls)
        self.connected = 1
        self.TLS = tls
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)
        super().write(data)


class SendingTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.transport = Transport()
        self.socket = self.transport.fake
        self.send = send_at_once(self.transport)

    def assertSent(self, taken: list[bytes], written: list[bytes]) -> None:
        """The socket took those, and the transport was given these."""
        self.assertEqual((self.socket.taken, self.transport.written), (taken, written))


class AtOnceTests(SendingTestCase):
    """A connection that waits for nothing."""

    def test_all(self) -> None:
        """A reply is on its way when the turn ends: no system calls to wait for a socket that is ready."""
        self.send(b"one")
        self.send(b"two")
        self.assertSent([b"one", b"two"], [])
        self.assertEqual(self.transport.reactor_calls.mock_calls, [])

    def test_a_part(self) -> None:
        """A reply longer than the socket takes arrives whole: the reactor sends the rest."""
        self.socket.script.append(3)
        self.send(b"one, two")
        self.assertSent([b"one"], [b", two"])
        self.transport.reactor_calls.addWriter.assert_called_with(self.transport)
        self.transport.doWrite()
        self.assertEqual(self.socket.taken, [b"one", b", two"])

    def test_nothing_now(self) -> None:
        """A client that reads slowly gets its reply later, and not an end of its connection."""
        self.socket.script.append(FULL)
        self.send(b"one")
        self.assertSent([], [b"one"])
        self.transport.doWrite()
        self.assertEqual(self.socket.taken, [b"one"])

    def test_gone(self) -> None:
        """A peer that is gone is found by the reactor, which ends the connection; a turn does not fail of it."""
        self.socket.script.extend([RESET, RESET])
        self.send(b"one")
        self.assertSent([], [b"one"])
        self.assertIs(self.transport.doWrite(), CONNECTION_LOST)

    def test_back_pressure(self) -> None:
        """What the socket does not take counts as unread: a client that reads nothing cannot fill the memory."""
        producer = Mock()
        self.transport.registerProducer(producer, True)
        self.socket.script.append(1)
        self.send(b"x" * self.transport.bufferSize)
        self.assertEqual(producer.mock_calls, [])
        self.send(b"x" * 2)
        producer.pauseProducing.assert_called_once_with()


class OrderTests(SendingTestCase):
    """What was written before goes first."""

    def test_written_just_now(self) -> None:
        """A message does not overtake the Hello that was written before it."""
        self.transport.write(b"hello")
        self.assertEqual(self.transport.dataBuffer, b"")
        self.send(b"message")
        self.assertSent([], [b"hello", b"message"])

    def test_sent_in_part_by_the_reactor(self) -> None:
        """A reply does not end up inside the one before it."""
        self.transport.write(b"one")
        self.socket.script.append(1)
        self.transport.doWrite()
        self.assertEqual(self.transport._tempDataBuffer, [])
        self.send(b"two")
        self.assertSent([b"o"], [b"one", b"two"])

    def test_through_thick_and_thin(self) -> None:
        """Every byte arrives, once and in its place, however often the socket is full; then it is at once again."""
        self.socket.script.extend([3, FULL, 2, FULL, 4])
        for data in (b"0123", b"45", b"6789", b"ab"):
            self.send(data)
            self.transport.doWrite()
        self.transport.doWrite()
        self.assertEqual(b"".join(self.socket.taken), b"0123456789ab")
        self.assertEqual(self.transport.written, [b"3", b"45", b"6789", b"ab"])
        self.send(b"at once")
        self.assertEqual(self.socket.taken[-1], b"at once")
        self.assertEqual(self.transport.written[-1], b"ab")


class EndTests(SendingTestCase):
    """A connection that ends, or has ended."""

    def test_disconnecting(self) -> None:
        """What comes when a connection is being closed is for Twisted to judge, as it always did."""
        self.transport.loseConnection()
        self.send(b"late")
        self.assertSent([], [b"late"])

    def test_aborting(self) -> None:
        """A client that was cut off gets no more."""
        self.transport.abortConnection()
        self.send(b"late")
        self.assertSent([], [b"late"])

    def test_disconnected(self) -> None:
        """A reply for a client that is gone goes nowhere: its descriptor may be another client's by now."""
        self.transport.connectionLost(Failure(ConnectionDone()))
        self.send(b"late")
        self.assertSent([], [b"late"])


class OtherTransportTests(SynchronousTestCase):
    """What cannot be sent at once."""

    def test_not_tcp(self) -> None:
        """What is no TCP connection of Twisted's, as in tests and the simulator, needs nothing but ``write``."""
        transport = StringTransport()
        send = send_at_once(transport)
        self.assertEqual(send, transport.write)
        send(b"one")
        send(b"two")
        self.assertEqual(transport.value(), b"onetwo")

    def test_tls(self) -> None:
        """Over TLS nothing goes out in the clear."""
        transport = Transport(tls=True)
        send_at_once(transport)(b"secret")
        self.assertEqual((transport.fake.taken, transport.written), ([], [b"secret"]))
