"""TLS that ends while a client works: it goes on at another node, and a program sees none of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import SynchronousTestCase

from dkv.client import Client, blocking_line
from dkv.client import twisted as for_twisted
from dkv.client.admission import Tls
from dkv.client.blocking import Connection, Endpoint
from dkv.client.tls_layer import TlsFailure, TlsLayer
from tests.certificates import Certificates, Pair
from tests.client.fake_wires import ClientTests, Wire
from tests.client.tls_node import TlsFarEnd, TlsNode, Words

ANOTHERS = b"\x17\x03\x03\x00\x20" + b"x" * 32
"""A record of somebody on the network."""

ADDRESSES = "localhost:1,localhost:2"


def answer(words: Words) -> bytes:
    """Each key has its name as its value."""
    return b"$%d\r\n%b\r\n" % (len(words[1]), words[1]) if words[0] == b"GET" else b"+PONG\r\n"


class SpoiltNode(TlsNode):
    """Behind its answers to GET comes what spoils its TLS."""

    def take(self, data: bytes) -> bytes:
        """As any other, and that."""
        back = super().take(data)
        return back + ANOTHERS if [b"GET", b"k"] in self.requests else back


class WithFiles(SynchronousTestCase):
    def setUp(self) -> None:
        """A CA, and a node that it knows."""
        self.files = Certificates(Path(self.mktemp()))
        self.tls = Tls(str(self.files.ca))
        self.own = Pair(self.files.directory / "node1.pem", self.files.directory / "node1.key")
        super().setUp()


class LayerTests(WithFiles):
    def test_what_came_before(self) -> None:
        """What a node has said is read, though its TLS ended right behind it."""
        layer, node = TlsLayer(self.tls, "localhost"), TlsNode(self.own, answer)
        layer.shake(b"")
        while not layer.is_open:
            layer.shake(node.take(layer.outgoing))
        layer.opened(node.take(layer.outgoing))
        self.assertEqual(layer.opened(node.say(b"+OK\r\n") + ANOTHERS), b"+OK\r\n")
        self.assertRaises(TlsFailure, layer.opened, b"")
        self.assertRaises(TlsFailure, layer.seal, b"PING\r\n")


class TwistedTests(WithFiles, ClientTests):
    def make(self, **options: Any) -> for_twisted.Client:
        """With TLS."""
        return for_twisted.Client(ADDRESSES, reactor=self.clock, dial=self.wires.dial, tls=self.tls, **options)

    def serve(self, wire: Wire, node: TlsNode) -> None:
        """The node answers until there is nothing left to answer."""
        while wire.transport.written:
            sent, wire.transport.written = wire.transport.written, b""
            wire.say(node.take(sent))

    def test_spoilt(self) -> None:
        """What was to be sent on this connection goes to the next node, and nothing is raised in between."""
        results = gatherResults([self.client.get(key) for key in ("k", "l", "m")])
        first = self.wires.accept()
        self.serve(first, SpoiltNode(self.own, answer))
        self.assertTrue(first.transport.aborted)
        second = self.wires.accept()
        self.assertEqual(second.endpoint, Endpoint("localhost", 2))
        self.serve(second, TlsNode(self.own, answer))
        self.assertEqual(self.successResultOf(results), [b"k", b"l", b"m"])


class BlockingTests(WithFiles):
    def test_spoilt(self) -> None:
        """The same, amid more requests than are under way at a time."""
        nodes: list[TlsNode] = [SpoiltNode(self.own, answer), TlsNode(self.own, answer)]
        left = list(nodes)

        def connect(endpoint: Endpoint, *_: float) -> Connection:
            end = TlsFarEnd(left.pop(0), endpoint)
            self.addCleanup(end.close)
            end.connection.enter(5.0)
            return end.connection

        self.patch(blocking_line, "connect", connect)
        keys = ["first", "k", *(f"k{number}" for number in range(600))]
        with Client(ADDRESSES, tls=self.tls) as client:
            pipeline = client.pipeline()
            for key in keys:
                pipeline.get(key)
            self.assertEqual(pipeline.send(), [key.encode() for key in keys])
        self.assertEqual(left, [])
        self.assertEqual(nodes[1].requests[-1], [b"GET", b"k599"])
