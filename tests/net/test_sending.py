"""How connections send is said by whoever builds the node: both ends of the mesh and clients do as they are told."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ELECTOR, Address
from dkv.net.sending import Send, by_write
from tests.net.client_port import Port
from tests.net.nodes import BEAT, mesh_of, say
from tests.net.wires import Network


class SendingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sent: list[bytes] = []

    def sender_of(self, transport: Any) -> Send:
        """Sends by ``write`` and remembers what."""
        write = by_write(transport)

        def send(data: bytes) -> None:
            self.sent.append(data)
            write(data)

        return send

    def test_by_write(self) -> None:
        """Without anything faster, on transports of every kind, bytes arrive in their order."""
        transport = StringTransport()
        send = by_write(transport)
        send(b"one")
        send(b"two")
        self.assertEqual(transport.value(), b"onetwo")

    def test_clients(self) -> None:
        """A reply that went past what is installed would be slow again, and nobody would notice."""
        port = Port(sender_of=self.sender_of)
        connection, transport = port.connect()
        connection.dataReceived(b"GET a\r\n")
        port.answer(b"value")
        self.assertEqual(self.sent, [b"$5\r\nvalue\r\n"])
        self.assertEqual(transport.value(), b"$5\r\nvalue\r\n")

    def test_peers(self) -> None:
        """A message between nodes that went past what is installed would be slow as well."""
        network = Network()
        (one, _), (two, inbox) = mesh_of(network.reactor, 1), mesh_of(network.reactor, 2)
        one.sender_of = self.sender_of
        for mesh in (one, two):
            self.successResultOf(mesh.door.bind())
            mesh.startService()
        network.pump()
        heartbeat = (Address(2, ELECTOR), Address(1, ELECTOR), BEAT)
        self.sent.clear()
        say(one, *heartbeat)
        network.pump()
        self.assertEqual([message for _, _, message in inbox.delivered], [BEAT])
        self.assertEqual(len(self.sent), 1)
