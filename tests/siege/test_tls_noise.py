"""What strangers may send to a port with TLS before the handshake is done."""

from __future__ import annotations

import gc
import tempfile
import weakref
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.config.tls_settings import TlsSettings
from dkv.net.securing import ADMIN, CLIENTS, PEERS
from dkv.settings import KIB
from dkv.tls.credentials import load_credentials
from dkv.tls.policy import FOR_PLAIN, TlsPolicy
from dkv.tls.transport import HANDSHAKE_SECONDS
from tests.certificates import Certificates
from tests.siege.beginnings import HalfOfTls, client_hello
from tests.siege.noise import endless, most_held, streams

GOOD = (
    client_hello(),
    client_hello() + b"\x14\x03\x03\x00\x01\x01" + b"\x17\x03\x03\x00\x20" + b"c" * 32,
    b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + b"h" * 300,
    b"\x80\x2e\x01\x03\x01" + b"s" * 50,  # a ClientHello of SSL 2
    b"\x15\x03\x01\x00\x02\x01\x00",  # a warning
    b"GET / HTTP/1.1\r\n\r\n",
    b"*1\r\n$4\r\nPING\r\n",
)
HELD_MAX = 256 * KIB
"""What Python may hold for one handshake: a record of 16 KiB, copied a few times."""


class Heard(Protocol):
    """Must never be made."""


class TlsNoiseTest(SynchronousTestCase):
    """A stranger gets in without a handshake, ends a user's node, or stays for ever, if one of these fails."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        certificates = Certificates(Path(folder.name), "local", [1])
        settings = TlsSettings(str(certificates.ca), f"{folder.name}/node1.pem", f"{folder.name}/node1.key")
        self.credentials = load_credentials(settings, 1, "local")
        self.begin()

    def begin(self) -> None:
        """Ports that nobody has connected to."""
        self.reactor = MemoryReactorClock()
        self.refused: list[str] = []
        self.policy = TlsPolicy(self.reactor, self.credentials, lambda *what: self.refused.append(what[2]))
        self.made: list[Heard] = []

    def accept(self, kind: str) -> tuple[Any, StringTransport]:
        """A connection to a port of this kind."""

        def make() -> Heard:
            self.made.append(Heard())
            return self.made[-1]

        factory = self.policy.listening(Factory.forProtocol(make), kind)
        protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 4000))
        transport = StringTransport()
        transport.abortConnection = StringTransport.loseConnection.__get__(transport)  # type: ignore[method-assign]  # as if it were TCP
        protocol.makeConnection(transport)
        return protocol, transport

    @given(streams(*GOOD))
    @settings(max_examples=200, deadline=None)
    def test_noise(self, pieces: list[bytes]) -> None:
        """Nothing raises, nothing behind TLS is made, and the connection is over when the time for it is."""
        for kind in (CLIENTS, PEERS, ADMIN):
            self.begin()
            protocol, transport = self.accept(kind)
            for piece in pieces:
                if not transport.disconnecting:
                    protocol.dataReceived(piece)
            self.reactor.advance(HANDSHAKE_SECONDS)
            self.assertTrue(transport.disconnecting)
            self.assertEqual(self.made, [])
            said = transport.value().removeprefix(FOR_PLAIN.get(kind, b""))
            self.assertIn(said[:1], (b"", b"\x15", b"\x16"))  # an alert of TLS, or a handshake

    def test_memory(self) -> None:
        """However much comes, a handshake takes no more memory than its records."""
        for piece in (*GOOD, b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + b"h" * 16_379, b"\x16\x03\x01\x00\x01\x01"):

            def feed(piece: bytes = piece) -> None:
                protocol, transport = self.accept(CLIENTS)
                for each in endless(piece, 300_000):
                    if not transport.disconnecting:
                        protocol.dataReceived(each)

            feed()  # once to fill caches
            self.assertLess(most_held(feed), HELD_MAX, piece[:20])

    def test_nothing_is_left(self) -> None:
        """The memory of a connection is free when it has ended: a node looks for cycles rarely, and a storm of
        connections that end in the middle would take hundreds of megabytes meanwhile."""
        gc.disable()
        self.addCleanup(gc.enable)
        for pieces in ([], [client_hello()[:100]], [client_hello()], [b"no TLS"]):
            protocol, _ = self.accept(CLIENTS)
            for piece in pieces:
                protocol.dataReceived(piece)
            protocol.connectionLost(Failure(ConnectionLost()))
            gone = weakref.ref(protocol)
            del protocol, _
            self.assertIsNone(gone(), pieces)

    def test_the_noise_could_get_in(self) -> None:
        """What these tests talk with is a port that lets in whoever finishes a handshake."""
        protocol, transport = self.accept(CLIENTS)
        tls = HalfOfTls()
        while said := tls.step(transport.value()):
            transport.clear()
            protocol.dataReceived(said)
        self.assertTrue(tls.done)
        self.assertEqual(len(self.made), 1)
