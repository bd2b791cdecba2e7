"""What a client has read is known while the rest still waits for it."""

from __future__ import annotations

import socket

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.uptake import acknowledged_bytes, taken_bytes
from tests.integration.processes import wait_until
from tests.net.client_port import Transport

SECONDS = 10.0
CHUNK = 65_536


class UptakeTests(SynchronousTestCase):
    """Two real sockets that are connected with each other."""

    def setUp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as port:
            self.reader = socket.create_connection(port.getsockname())
            self.writer, _ = port.accept()
        self.transport = Transport()
        self.transport.socket = self.writer  # type: ignore[attr-defined]  # as Twisted's own transports have it
        for made in (self.reader, self.writer):
            self.addCleanup(made.close)

    def fill(self) -> int:
        """Write until the kernel takes nothing more; how many bytes that is."""
        self.writer.setblocking(False)
        written = 0
        try:
            while True:
                written += self.writer.send(bytes(CHUNK))
        except BlockingIOError:
            return written

    def test_a_client_that_reads(self) -> None:
        """The kernel takes what it has room for; of that the client has confirmed what it has room for."""
        written = self.fill()
        self.assertEqual(taken_bytes(self.transport), written)
        self.assertLess(acknowledged_bytes(self.transport), written)
        left = written
        while left:
            left -= len(self.reader.recv(CHUNK))
        wait_until(lambda: acknowledged_bytes(self.transport) == written, SECONDS, "all is confirmed")
        self.assertEqual(taken_bytes(self.transport), written)

    def test_where_it_cannot_be_known(self) -> None:
        """On a socket of the file system, in memory, and when the connection has ended."""
        for transport in (StringTransport(), Transport()):
            self.assertEqual((acknowledged_bytes(transport), taken_bytes(transport)), (0, 0))
        self.writer.close()
        self.assertEqual((acknowledged_bytes(self.transport), taken_bytes(self.transport)), (0, 0))
