"""A connection whose other end is gone without a word ends in minutes, not in hours."""

from __future__ import annotations

import socket

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.sockets import prepare_socket
from tests.net.client_port import Port, Transport


class SocketTests(SynchronousTestCase):
    """Real sockets that are not connected to anything."""

    def test_clients(self) -> None:
        """A laptop that was closed does not hold its place for ever; nothing of telnet's arrives out of its place."""
        port, transport, made = Port(), Transport(), socket.socket()
        self.addCleanup(made.close)
        transport.socket = made  # type: ignore[attr-defined]  # as Twisted's own transports have it
        port.clients.buildProtocol(transport.getPeer()).makeConnection(transport)
        self.assertTrue(transport.no_delay)
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        self.assertEqual([made.getsockopt(socket.IPPROTO_TCP, option) for option in options], [60, 20, 3])
        for option in (socket.SO_KEEPALIVE, socket.SO_OOBINLINE):
            self.assertEqual(made.getsockopt(socket.SOL_SOCKET, option), 1)

    def test_others(self) -> None:
        """A client on a Unix socket, and a transport in memory, have no such options."""
        prepare_socket(StringTransport())
        prepare_socket(Transport())
