"""Nodes with TLS in a program of somebody else's: what they begin ends with them, also handshakes and looks."""

from __future__ import annotations

import socket
import ssl
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import DeferredList, inlineCallbacks
from twisted.internet.threads import deferToThread

from dkv.config.config import Config, parse_config
from dkv.net.clients import Clients
from dkv.net.peer_tls import TLS_HANDSHAKE
from dkv.node import watched_files
from dkv.tls.transport import TlsTransport
from tests.certificates import Certificates
from tests.integration.embedded import NUMBERS, EmbeddedTestCase, calls_of_nodes, descriptors, kinds, reactor, until
from tests.integration.processes import HOST, free_ports

CYCLES = 4
OURS = ("dkv.tls.", "dkv.net.", "dkv.node.protection", "dkv.node.tls_watch", "dkv.node.watched_files")


def connections_with_tls() -> list[Any]:
    """Those that the reactor reads, also in the middle of a handshake."""
    return [each for each in reactor.getReaders() if isinstance(getattr(each, "protocol", None), TlsTransport)]


class EmbeddedTlsTests(EmbeddedTestCase):
    def setUp(self) -> None:
        self.patch(watched_files, "LOOK_SECONDS", 0.05)
        self.certificates = Certificates(Path(self.mktemp_parent()), "embedded", NUMBERS)
        super().setUp()
        self.config = self.with_tls(self.config)
        self.nodes = {number: self.make(number) for number in NUMBERS}

    def with_tls(self, config: Config) -> Config:
        """The same cluster with TLS between nodes and for clients."""
        home = self.certificates.directory
        files = {"ca": "ca.pem", "certificate": "node{id}.pem", "key": "node{id}.key", "crl": "crl.pem"}
        self.ports = dict(zip(NUMBERS, free_ports(3), strict=True))
        nodes = [
            {
                "id": member.id,
                "client_tls": f"{HOST}:{self.ports[member.id]}",
                "peer": member.peer.bind.split(":")[2].replace("interface=", "") + ":" + member.peer.bind.split(":")[1],
            }
            for member in config.members
        ]
        tls = {name: str(home / file) for name, file in files.items()} | {"peers": "require"}
        return parse_config({"cluster": config.cluster, "node": nodes, "tls": tls})

    def ask(self, number: int, words: bytes) -> bytes:
        """One request to a node over TLS, on a thread."""
        context = ssl.create_default_context(cafile=str(self.certificates.ca))
        context.check_hostname = False
        try:
            with context.wrap_socket(socket.create_connection((HOST, self.ports[number]), 5)) as connection:
                connection.sendall(words)
                return connection.recv(100)
        except OSError:
            return b""

    @inlineCallbacks
    def test_nothing_stays_behind(self) -> Any:
        """A program that starts and stops nodes all day must not run out of anything."""
        before, open_before = None, None
        for number in range(CYCLES):
            yield self.start_all()
            ask = partial(deferToThread, self.ask, 1 + number % 3, b"SET x %d\r\n" % number)
            answer = yield until(ask, 15.0, "a node answers")
            self.assertEqual(answer, b"+OK\r\n")
            stopped = socket.create_connection((HOST, self.ports[2]), 5)
            stopped.sendall(b"\x16\x03\x01")  # a handshake that is under way when the node stops
            yield self.stop_all()
            stopped.close()
            yield until(lambda: not self.threads(), 5.0, "the looks at files are over")
            self.assertEqual(calls_of_nodes(), [])
            before, open_before = before or kinds(), open_before or descriptors()
        self.assertEqual(descriptors(), open_before)
        assert before is not None
        grown = [name for name, count in (kinds() - before).items() if count >= CYCLES - 1 and name.startswith(OURS)]
        self.assertEqual(grown, [])
        self.assertEqual([each for each in reactor.getReaders() if "Port" in type(each).__name__], [])

    @inlineCallbacks
    def test_a_handshake_that_begins_while_a_node_drains(self) -> Any:
        """Its ports for peers are open until its clients are served. Nobody waits for such a handshake at the end."""
        drain = Clients.drain
        late = socket.socket()
        self.addCleanup(late.close)

        @inlineCallbacks
        def begin_and_drain(clients: Clients, seconds: float) -> Any:
            self.patch(Clients, "drain", drain)
            late.connect((HOST, int(self.config.member(1).peer.bind.split(":")[1])))
            late.sendall(TLS_HANDSHAKE)
            yield until(connections_with_tls, 5.0, "a handshake has begun")
            yield drain(clients, seconds)

        yield self.start_all()
        yield until(partial(deferToThread, self.ask, 1, b"SET x 1\r\n"), 15.0, "the node answers")
        yield DeferredList([self.nodes[number].stopService() for number in (2, 3)])
        self.patch(Clients, "drain", begin_and_drain)
        yield self.nodes[1].stopService()
        self.assertEqual(connections_with_tls(), [])
