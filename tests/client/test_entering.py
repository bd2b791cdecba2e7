"""How a client gets in at a node: TLS, and who it is. Both clients, each at a node that is in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives import serialization
from twisted.internet.interfaces import ITCPTransport
from twisted.trial.unittest import SynchronousTestCase

from dkv.client.admission import Admission, Tls, TlsFileError
from dkv.client.blocking import NoAnswer, NotSent, ServerError
from dkv.client.endpoint import Endpoint
from dkv.client.line_protocol import LineProtocol
from dkv.client.tls_layer import TlsLayer
from tests.certificates import Certificates, Pair
from tests.client.fake_wires import Transport
from tests.client.fakes import FarEnd
from tests.client.tls_node import TlsFarEnd, TlsNode, Words

HOST = "localhost"
ALERT = b"\x15\x03\x03\x00\x02\x02\x46"
"""A server of TLS that does not understand the first record."""


def polite(words: Words) -> bytes:
    """A node that lets everybody in."""
    return {b"PING": b"+PONG\r\n", b"GET": b"$1\r\nx\r\n"}.get(words[0], b"+OK\r\n")


def strict(words: Words) -> bytes:
    """A node that wants a user, and does not take the password ``wrong``."""
    if words[0] == b"AUTH" and words[-1] == b"wrong":
        return b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
    return b"-NOAUTH Authentication required.\r\n" if words[0] == b"PING" else polite(words)


class EnteringTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A CA, and a node that it knows."""
        self.files = Certificates(Path(self.mktemp()))
        self.tls = Tls(str(self.files.ca))
        self.own = Pair(self.files.directory / "node1.pem", self.files.directory / "node1.key")

    def blocking(self, node: TlsNode, access: Admission, host: str = HOST, database: int = 0) -> None:
        """Get in with the blocking client, and choose the database."""
        end = TlsFarEnd(node, Endpoint(host, 1, access))
        self.addCleanup(end.close)
        end.connection.enter(5.0)
        if database:
            end.connection.select(database)

    def by_twisted(self, node: TlsNode, access: Admission, host: str = HOST, database: int = 0) -> None:
        """The same with that for Twisted."""
        transport, protocol = Transport(), LineProtocol()
        protocol.makeConnection(cast(ITCPTransport, transport))
        entering = protocol.enter(Endpoint(host, 1, access), database)
        while transport.written:
            sent, transport.written = transport.written, b""
            for byte in node.take(sent):  # as slowly as a network may be
                if not transport.aborted:
                    protocol.dataReceived(bytes([byte]))
        outcome: list[object] = []
        entering.addBoth(outcome.append)
        failure = outcome[0]
        if not isinstance(failure, LineProtocol):
            failure.raiseException()  # type: ignore[attr-defined]

    def both(self, check: Callable[[Callable[..., None]], None]) -> None:
        """Check each client."""
        check(self.blocking)
        check(self.by_twisted)

    def test_user_first(self) -> None:
        """Nothing is asked before the node knows who asks."""

        def check(enter: Callable[..., None]) -> None:
            node = TlsNode(self.own, strict)
            enter(node, Admission(self.tls, b"app", b"secret"), database=3)
            self.assertEqual(node.requests, [[b"AUTH", b"app", b"secret"], [b"SELECT", b"3"]])
            node = TlsNode(self.own, strict)
            enter(node, Admission(self.tls, None, b"secret"))
            self.assertEqual(node.requests, [[b"AUTH", b"secret"]])
            node = TlsNode(self.own, strict)
            enter(node, Admission(self.tls))  # it may be let in by its certificate, or for some commands
            self.assertEqual(node.requests, [[b"PING"]])

        self.both(check)

    def test_turned_away(self) -> None:
        """The password is wrong: an error of its own, not a node that is not reached."""

        def check(enter: Callable[..., None]) -> None:
            with self.assertRaises(ServerError) as caught:
                enter(TlsNode(self.own, strict), Admission(self.tls, b"app", b"wrong"))
            self.assertEqual(caught.exception.word, "WRONGPASS")

        self.both(check)

    def test_refused_by_the_client(self) -> None:
        """A node that may be another one gets neither password nor request."""
        wrong = (
            (self.files.other_authority(1), HOST, "its certificate is not signed by a CA in "),
            (self.files.self_signed(1), HOST, "its certificate is not signed by a CA in "),
            (self.files.expired(1), HOST, "its certificate, or that of its CA, has expired"),
            (self.own, "elsewhere.example", "its certificate does not name the host elsewhere.example"),
            (self.own, "127.0.0.7", "its certificate does not name the host 127.0.0.7"),
        )

        def check(enter: Callable[..., None]) -> None:
            for own, host, reason in wrong:
                node = TlsNode(own, polite)
                with self.assertRaises(NotSent) as caught:
                    enter(node, Admission(self.tls, b"app", b"secret"), host)
                self.assertIn(reason, str(caught.exception))
                self.assertEqual(node.requests, [])
            enter(TlsNode(self.own, polite), Admission(self.tls), "127.0.0.1")

        self.both(check)

    def test_certificates_of_clients(self) -> None:
        """With TLS 1.3 a client is done with the handshake before the node has looked at its certificate: the refusal
        must not be taken for the fate of a write."""
        app, foreign = self.files.client("app"), self.files.other_authoritys_client("app")
        old = self.files.expired_client("app")

        def check(enter: Callable[..., None]) -> None:
            def using(pair: Pair | None) -> None:
                files = (None, None) if pair is None else (str(pair.certificate), str(pair.key))
                node = TlsNode(self.own, polite, wants=self.files.ca)
                enter(node, Admission(Tls(str(self.files.ca), *files)))

            using(app)
            for pair, reason in (
                (None, "it wants a certificate of this client"),
                (foreign, "it does not trust the CA of this client's certificate"),
                (old, "this client's certificate has expired"),
            ):
                with self.assertRaises(NotSent) as caught:
                    using(pair)
                self.assertIn(reason, str(caught.exception))

        self.both(check)

    def test_one_speaks_tls(self) -> None:
        """The user has mixed up two ports: nothing was executed, and the error says which mistake it is."""

        def check(enter: Callable[..., None]) -> None:
            with self.assertRaises(NotSent) as caught:
                enter(TlsNode(self.own, polite, plain=b"-ERR Protocol error\r\n"), Admission(self.tls))
            self.assertIn("it does not speak TLS", str(caught.exception))
            with self.assertRaises(NotSent) as caught:
                enter(TlsNode(self.own, polite, plain=ALERT), Admission(None, b"app", b"secret"))
            self.assertIn("it speaks TLS", str(caught.exception))

        self.both(check)
        end = FarEnd(ALERT, closes=True)
        self.addCleanup(end.close)
        self.assertRaises(NotSent, end.connection.call, b"SET", b"k", b"v")

    def test_no_room(self) -> None:
        """A node that has no room says so at once: the client reads it, and does not wait for more."""

        def check(enter: Callable[..., None]) -> None:
            full = b"-ERR max number of clients reached\r\n"
            with self.assertRaises(ServerError) as caught:
                enter(TlsNode(self.own, lambda _: b"", unasked=full), Admission(self.tls))
            self.assertEqual(caught.exception.text, "ERR max number of clients reached")

        self.both(check)

    def test_files(self) -> None:
        """Files that are no use are named before anything is dialled, and nobody is asked for a passphrase."""
        app, other = self.files.client("app"), self.files.client("other")
        text = self.files.directory / "text.pem"
        text.write_text("no certificate\n")
        locked = self.files.directory / "locked.key"
        key = serialization.load_pem_private_key(app.key.read_bytes(), None)
        secret = serialization.BestAvailableEncryption(b"secret")
        locked.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret))
        for tls, reason in (
            (Tls("nowhere.pem"), "cannot read certificates of a CA in nowhere.pem: No such file"),
            (Tls(str(text)), "cannot read certificates of a CA in "),
            (Tls(None, str(app.certificate), str(other.key)), "key values mismatch"),
            (Tls(None, str(text)), "cannot use the certificate in "),
            (Tls(None, str(app.certificate)), "; a key in a file of its own must be named, too"),
            (Tls(None, str(app.certificate), str(locked)), "has a passphrase, which nobody is asked for here"),
            (Tls(None, None, str(app.key)), "needs the certificate that belongs to it"),
        ):
            with self.assertRaises(TlsFileError) as caught:
                tls.context()
            self.assertIn(reason, str(caught.exception))

    # --- the blocking connection over TLS ---

    def test_large_requests_and_answers(self) -> None:
        """What does not fit into one record of TLS comes whole."""
        value = b"v" * 60_000  # two records of TLS and more, and what a socket pair takes at once

        def answer(words: Words) -> bytes:
            return b"$%d\r\n%b\r\n" % (len(value), value) if words[0] == b"GET" else b"+OK\r\n"

        node = TlsNode(self.own, answer)
        end = TlsFarEnd(node, Endpoint(HOST, 1, Admission(self.tls)))
        self.addCleanup(end.close)
        end.connection.enter(5.0)
        self.assertEqual(end.connection.call(b"SET", b"k", value), "OK")
        self.assertEqual(node.requests[-1], [b"SET", b"k", value])
        self.assertEqual(end.connection.call(b"GET", b"k"), value)
        end.connection.post(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" * 2)
        self.assertEqual([end.connection.answer(5.0), end.connection.answer(5.0)], [value, value])
        self.assertFalse(end.connection.lost())

    def test_unasked(self) -> None:
        """What a node says by itself, such as that it ends, is seen before the next request is sent."""
        end = TlsFarEnd(TlsNode(self.own, polite), Endpoint(HOST, 1, Admission(self.tls)))
        self.addCleanup(end.close)
        end.connection.enter(5.0)
        self.assertFalse(end.connection.lost())
        end.say(b"-ERR it ends\r\n")
        self.assertTrue(end.connection.lost())
        with self.assertRaises(ServerError) as caught:
            end.connection.call(b"SET", b"k", b"v")
        self.assertEqual(caught.exception.text, "ERR it ends")
        self.assertNotIn([b"SET", b"k", b"v"], end.node.requests)

    def test_cut(self) -> None:
        """Records that were changed on their way, or an end without a farewell, are no answer."""
        for data in (b"\x17\x03\x03\x00\x20" + b"x" * 32, b""):
            layer, node = TlsLayer(self.tls, HOST), TlsNode(self.own, polite)
            layer.shake(b"")
            while not layer.is_open:
                layer.shake(node.take(layer.outgoing))
            node.take(layer.outgoing)
            if data:
                self.assertRaises(ConnectionError, layer.opened, data)
                self.assertRaises(ConnectionError, layer.opened, b"")
            else:
                self.assertEqual(layer.opened(node.say(b"+OK\r\n")[:-1]), b"")

    def test_plain_unasked(self) -> None:
        """Without TLS all is as it was: nothing is sent before the first request."""
        end = FarEnd(b"+OK\r\n", closes=False)
        self.addCleanup(end.close)
        end.connection.enter(5.0)
        self.assertEqual(end.received(), b"")
        self.assertRaises(NoAnswer, end.connection.answer, 0.01)
