"""The last replies reach a client that reads them, however slowly; one that does not read is not waited for."""

from __future__ import annotations

import struct

from twisted.trial.unittest import SynchronousTestCase

from dkv.net.lingering import LINGER_SECONDS
from tests.net.client_port import Port


class Socket:
    """Tells that the other end has confirmed ``acknowledged`` bytes."""

    def __init__(self) -> None:
        self.acknowledged = 0

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        return bytes(size - 8) + struct.pack("=Q", self.acknowledged)

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Nothing to see."""


class LingeringTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.port = Port()
        self.connection, self.transport = self.port.connect()
        self.socket = self.transport.socket = Socket()  # type: ignore[attr-defined]  # as Twisted's own have it

    def test_a_slow_reader(self) -> None:
        """As long as it reads, even behind QUIT, it gets the rest."""
        self.connection.dataReceived(b"QUIT\r\n")
        for _ in range(10):
            self.socket.acknowledged += 1
            self.port.clock.advance(LINGER_SECONDS)
            self.assertFalse(self.transport.aborted)
        self.port.clock.advance(LINGER_SECONDS)
        self.assertTrue(self.transport.aborted)

    def test_one_that_only_sends(self) -> None:
        """A client whose request was refused gets to read why; sending on for ever does not keep its connection."""
        self.connection.dataReceived(b"*x\r\n")
        self.socket.acknowledged += 1
        self.port.clock.advance(LINGER_SECONDS)
        self.connection.dataReceived(b"x" * 1000)
        self.port.clock.advance(LINGER_SECONDS)
        self.assertTrue(self.transport.aborted)
