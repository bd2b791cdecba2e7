"""TLS on ports and dialled connections: who gets in, and what both ends say of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred, DeferredList, inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from dkv.config.tls_settings import OFF, OPTIONAL, REQUIRED, TlsSettings
from dkv.net.refusal import Refusal
from dkv.net.securing import ADMIN, CLIENTS, PEERS, SecuringFailed, Shown, is_secured, shown_by
from dkv.replies import Error
from dkv.tls import policy, transport
from dkv.tls.credentials import Credentials, load_credentials
from dkv.tls.policy import FOR_PLAIN, TlsPolicy
from tests.certificates import Certificates, Pair

reactor: Any = global_reactor


class Talk(Protocol):
    """Says who the other end is, and echoes what it says."""

    transport: Any

    def __init__(self) -> None:
        self.made: Deferred[Talk] = Deferred()
        self.lost: Deferred[list[Any]] = Deferred()
        self.heard = b""
        self.waits: list[tuple[bytes, Deferred[None]]] = []

    def connectionMade(self) -> None:
        self.shown = shown_by(self.transport)
        self.made.callback(self)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        for wait in [each for each in self.waits if each[0] in self.heard]:
            self.waits.remove(wait)
            wait[1].callback(None)

    def hears(self, data: bytes) -> Deferred[None]:
        """Fires when ``data`` has come in."""
        waiting: Deferred[None] = Deferred()
        self.waits.append((data, waiting))
        return waiting

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback([reason.value])


class Talks(Factory):
    """Makes them, and remembers."""

    noisy = False

    def __init__(self) -> None:
        self.all: list[Talk] = []
        self.next: Deferred[Talk] = Deferred()

    def buildProtocol(self, addr: Any) -> Talk:
        talk = Talk()
        self.all.append(talk)
        waiting, self.next = self.next, Deferred()
        talk.made.addCallback(lambda _: waiting.callback(talk))
        return talk


class PolicyTests(TestCase):
    timeout = 20

    def setUp(self) -> None:
        self.certificates = Certificates(Path(self.mktemp()), "c")
        self.refused: list[tuple[str, str]] = []
        self.admitted: list[str] = []
        self.told: Deferred[None] = Deferred()

    def settings(self, pair: Pair | None = None, **more: Any) -> TlsSettings:
        """Those of node 1, or with other files."""
        home = self.certificates.directory
        files = (str(home / "node{id}.pem"), str(home / "node{id}.key"))
        if pair is not None:
            files = (str(pair.certificate), str(pair.key))
        return replace(TlsSettings(str(self.certificates.ca), *files), **more)

    def policy_of(self, credentials: Credentials) -> TlsPolicy:
        """Everybody who is refused is noted."""

        def refused(port: str, address: str, reason: str) -> None:
            self.refused.append((port, reason))
            told, self.told = self.told, Deferred()
            told.callback(None)

        return TlsPolicy(reactor, credentials, refused, admitted=lambda port, _: self.admitted.append(port))

    @inlineCallbacks
    def listen(self, port: str = PEERS, handshakes_max: int = 512, **more: Any) -> Any:
        """Node 1 listens; the policy that dials it is node 2's."""
        self.talks = Talks()
        self.listening = self.policy_of(load_credentials(self.settings(**more), 1, "c"))
        self.listening.handshakes_max = handshakes_max
        server = yield TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
            self.listening.listening(self.talks, port)
        )
        self.addCleanup(server.stopListening)
        self.addCleanup(self.listening.stop)
        self.endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", server.getHost().port)

    def dial(self, credentials: Credentials) -> Any:
        """Connect with these."""
        return self.policy_of(credentials).dialling(self.endpoint).connect(Talks())

    @inlineCallbacks
    def both(self, credentials: Credentials) -> Any:
        """The two ends of a connection that is made."""
        accepted = self.talks.next
        mine = yield self.dial(credentials)
        theirs = yield accepted
        return mine, theirs

    @inlineCallbacks
    def end(self, *talks: Talk) -> Any:
        """Close a connection."""
        talks[0].transport.loseConnection()
        for talk in talks:
            yield talk.lost

    @inlineCallbacks
    def test_both_ends_know_each_other(self) -> Any:
        """The protocol is made when the handshake is done: it can ask who is there as the first thing it does."""
        yield self.listen()
        mine, theirs = yield self.both(load_credentials(self.settings(), 2, "c"))
        self.assertEqual((mine.shown.node, theirs.shown.node), (("c", 1), ("c", 2)))
        self.assertTrue(is_secured(mine.transport) and is_secured(theirs.transport))
        self.assertEqual(self.admitted, [PEERS])
        heard = theirs.hears(b"x" * 100_000)
        mine.transport.write(b"x" * 100_000)
        yield heard
        yield self.end(mine, theirs)

    @inlineCallbacks
    def test_who_does_not_get_in(self) -> Any:
        """One line on both ends says what is wrong with a certificate."""
        crl = str(self.certificates.crl)
        wrong = {
            "expired": (self.certificates.expired(2), "has expired", "certificate has expired"),
            "revoked": (self.certificates.revoked(2), "is revoked", "certificate is revoked"),
            "other CA": (self.certificates.other_authority(2), "is of another CA", "does not know the CA"),
            "self-signed": (self.certificates.self_signed(2), "is signed by itself", "does not know the CA"),
            "a client's": (self.certificates.client("app"), None, None),
        }
        yield self.listen(crl=crl)
        for name, (pair, here, there) in wrong.items():
            credentials = self.unchecked(pair)
            told, accepted = self.told, self.talks.next
            attempt = self.dial(credentials)
            if here is None:
                theirs = yield accepted  # Whether it names a node is for peers to ask.
                mine = yield attempt
                self.assertEqual(theirs.shown, Shown(None, ("app",), "CN=app,O=c"))
                yield self.end(mine, theirs)
                continue
            reason = yield self.reason_of(attempt)
            yield told
            self.assertIn(here, self.refused[-1][1], name)
            self.assertIn(there, reason, name)
            self.assertNotIn("\n", reason + self.refused[-1][1])
        self.assertEqual(self.listening.refusals, 4)

    def unchecked(self, pair: Pair) -> Credentials:
        """Credentials as an attacker has them."""
        try:
            return load_credentials(self.settings(pair), 2, "c")
        except ValueError:  # not of our CA: the attacker believes their own, and ours
            both = Path("both.pem")
            both.write_bytes(self.certificates.ca.read_bytes() + pair.certificate.read_bytes())
            return load_credentials(self.settings(pair, ca=str(both)), 2, "c")

    @inlineCallbacks
    def reason_of(self, attempt: Any) -> Any:
        """Why an attempt failed, also if that comes after the dialling end thought that all was done (TLS 1.3)."""
        try:
            talk = yield attempt
        except SecuringFailed as error:
            return str(error)
        lost = yield talk.lost
        self.assertIsInstance(lost[0], SecuringFailed)
        return str(lost[0])

    @inlineCallbacks
    def test_a_list_that_should_have_been_replaced(self) -> Any:
        """It counts all the same: what it revokes stays out, and everybody else gets in."""
        revoked = self.certificates.revoked(2)
        crl = self.certificates.directory / "stale.pem"
        crl.write_bytes(self.certificates.stale_crl())
        yield self.listen(crl=str(crl))
        mine, theirs = yield self.both(load_credentials(self.settings(crl=str(crl)), 2, "c"))
        yield self.end(mine, theirs)
        reason = yield self.reason_of(self.dial(self.unchecked(revoked)))
        self.assertIn("certificate is revoked", reason)

    @inlineCallbacks
    def test_new_credentials_end_no_connection(self) -> Any:
        """They count for connections that begin."""
        yield self.listen()
        mine, theirs = yield self.both(load_credentials(self.settings(), 2, "c"))
        pair = self.certificates.node(1, "renewed")
        self.listening.adopt(load_credentials(self.settings(pair), 1, "c"))
        heard = theirs.hears(b"still there")
        mine.transport.write(b"still there")
        yield heard
        newer, newer_theirs = yield self.both(load_credentials(self.settings(), 2, "c"))
        numbers = [talk.transport.getPeerCertificate().to_cryptography().serial_number for talk in (mine, newer)]
        self.assertNotEqual(*numbers)
        yield self.end(mine, theirs)
        yield self.end(newer, newer_theirs)

    @inlineCallbacks
    def test_what_is_no_handshake(self) -> Any:
        """Whoever does not speak TLS is told of, and is not heard by what stands behind it."""
        yield self.listen(CLIENTS)
        told = self.told
        talk = yield self.endpoint.connect(Talks())
        heard = talk.hears(FOR_PLAIN[CLIENTS])
        talk.transport.write(b"*1\r\n$4\r\nPING\r\n")
        yield told
        yield heard
        yield talk.lost
        self.assertEqual(talk.heard, b"-ERR this port takes TLS only\r\n")
        self.assertEqual(self.refused, [(CLIENTS, "it does not speak TLS")])
        self.assertEqual(self.talks.all, [])

    @inlineCallbacks
    def test_http_without_tls(self) -> Any:
        """Whoever types http in place of https reads what to type."""
        yield self.listen(ADMIN)
        talk = yield self.endpoint.connect(Talks())
        heard = talk.hears(b"400 Bad Request\r\nConnection: close\r\n\r\nthis port takes TLS only: use https\n")
        talk.transport.write(b"GET /readyz HTTP/1.1\r\n\r\n")
        yield heard
        yield talk.lost

    @inlineCallbacks
    def test_who_just_goes_away_is_no_news(self) -> Any:
        """A load balancer connects and closes every second, and the log is for people."""
        yield self.listen(CLIENTS)
        talk = yield self.endpoint.connect(Talks())
        talk.transport.loseConnection()
        yield talk.lost
        other = yield self.endpoint.connect(Talks())
        told = self.told
        other.transport.write(b"rubbish that is no handshake")
        yield told
        yield other.lost
        self.assertEqual((len(self.refused), self.listening.refusals), (1, 2))

    @inlineCallbacks
    def test_a_handshake_has_a_deadline(self) -> Any:
        """Whoever stops in the middle holds nothing for long."""
        self.patch(transport, "HANDSHAKE_SECONDS", 0.05)
        yield self.listen(CLIENTS)
        told = self.told
        talk = yield self.endpoint.connect(Talks())
        talk.transport.write(b"\x16\x03\x01\x02\x00\x01")
        yield told
        yield talk.lost
        self.assertEqual(self.refused, [(CLIENTS, "the TLS handshake was not done within 0.05 s")])

    @inlineCallbacks
    def test_many_handshakes_end_the_oldest(self) -> Any:
        """A crowd that stops in the middle keeps nobody out who means it."""
        yield self.listen(handshakes_max=2)
        told = self.told
        crowd = []
        for _ in range(3):
            crowd.append((yield self.endpoint.connect(Talks())))
            crowd[-1].transport.write(b"\x16")
        yield told
        self.assertEqual(
            self.refused, [(PEERS, "too many TLS handshakes were under way, most of them at this address")]
        )
        yield crowd[0].lost
        mine, theirs = yield self.both(load_credentials(self.settings(), 2, "c"))
        yield self.end(mine, theirs)
        self.listening.stop()
        for talk in crowd[1:]:
            yield talk.lost

    @inlineCallbacks
    def test_a_client_too_many_is_not_waited_for(self) -> Any:
        """It is told so, and its connection is gone, also if it never answers: its descriptor is for others."""
        gone: Deferred[None] = Deferred()

        class Told(Refusal):
            def connectionLost(self, reason: Failure = connectionDone) -> None:
                gone.callback(None)

        yield self.listen(CLIENTS)
        self.patch(self.talks, "buildProtocol", lambda addr: Told(Error("ERR max number of clients reached")))
        context = SSL.Context(SSL.TLS_METHOD)
        factory = TLSMemoryBIOFactory(policy._Creator(lambda: context), True, Talks())
        talk = yield self.endpoint.connect(factory)
        heard = talk.wrappedProtocol.hears(b"-ERR max number of clients reached\r\n")
        self.patch(talk, "_shutdownTLS", lambda: None)  # the client says nothing of its own
        yield heard
        talk.transport.pauseProducing()
        yield gone
        talk.wrappedProtocol.transport.transport.abortConnection()
        yield talk.wrappedProtocol.lost

    @inlineCallbacks
    def test_certificates_of_clients(self) -> Any:
        """They are asked for as the config says: not at all, if there is one, or always."""
        client = self.certificates.client("app")
        seen = []
        for words in (OFF, OPTIONAL, REQUIRED):
            yield self.listen(CLIENTS, client_certificates=words)
            for pair in (client, None):
                seen.append((yield self.visit(pair)))
        named, unnamed = ("app",), ()
        self.assertEqual(seen, [unnamed, unnamed, named, unnamed, named, None])
        self.assertEqual(self.refused, [(CLIENTS, "it has shown no certificate")])

    @inlineCallbacks
    def test_what_is_revoked_counts_on_every_port(self) -> Any:
        """Whether a certificate is wanted there or only taken: a list that one port forgets is no list."""
        revoked, crl = self.certificates.revoked_client("app"), str(self.certificates.crl)
        for port, words in ((PEERS, OFF), (CLIENTS, OPTIONAL), (CLIENTS, REQUIRED), (ADMIN, OPTIONAL)):
            yield self.listen(port, client_certificates=words, crl=crl)
            self.assertIsNone((yield self.visit(revoked)), port)
            self.assertIn("is revoked", self.refused[-1][1])

    @inlineCallbacks
    def visit(self, pair: Pair | None, *options: int, **more: Any) -> Any:
        """Connect as a client does; the users that its certificate names, None if it does not get in."""
        context = SSL.Context(SSL.TLS_METHOD)
        context.load_verify_locations(str(self.certificates.ca))
        context.set_verify(SSL.VERIFY_PEER, lambda *found: bool(found[-1]))
        for option in options:
            context.set_options(option)
        if pair is not None:
            context.use_certificate_file(str(pair.certificate))
            context.use_privatekey_file(str(pair.key))
        accepted, talks = self.talks.next, Talks()
        factory = TLSMemoryBIOFactory(policy._Creator(lambda: context), True, talks)
        talk = yield self.endpoint.connect(factory)
        told = self.told
        talk.wrappedProtocol.transport.write(b"hello")
        theirs = yield DeferredList([accepted, told], fireOnOneCallback=True, consumeErrors=True)
        self.version = talk.getHandle().get_protocol_version_name()
        talk.wrappedProtocol.transport.abortConnection()
        yield talk.wrappedProtocol.lost
        if theirs[1] == 1:
            return None
        yield theirs[0].lost
        return theirs[0].shown.users if theirs[0].shown is not None else ()

    @inlineCallbacks
    def test_versions(self) -> Any:
        """TLS 1.2 and 1.3, and nothing before."""
        yield self.listen(CLIENTS)
        for options, version in (((), "TLSv1.3"), ((SSL.OP_NO_TLSv1_3,), "TLSv1.2")):
            yield self.visit(None, *options)
            self.assertEqual(self.version, version)
        contexts = self.listening.credentials.contexts
        for context in (*contexts.listening.values(), contexts.dialling):
            names = SSL.Connection(context, None).get_cipher_list()
            self.assertTrue(all("GCM" in name or "CHACHA20" in name for name in names), names)
            old = [name for name in names if not name.startswith(("TLS_", "ECDHE-"))]
            self.assertEqual(old, [])

    @inlineCallbacks
    def test_nobody_listens(self) -> Any:
        """It is told as without TLS."""
        yield self.listen()
        server = yield TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Talks())
        port = server.getHost().port
        yield server.stopListening()
        self.endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        with self.assertRaises(ConnectionRefusedError):
            yield self.dial(load_credentials(self.settings(), 2, "c"))

    @inlineCallbacks
    def test_an_attempt_that_is_given_up(self) -> Any:
        """The other end that does not answer is left alone, and no connection stays behind."""
        silent = Talks()
        server = yield TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(silent)
        self.endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", server.getHost().port)
        connected = silent.next
        attempt = self.dial(load_credentials(self.settings(), 2, "c"))
        talk = yield connected
        yield talk.hears(b"\x16")  # the handshake has begun
        attempt.cancel()
        with self.assertRaises(CancelledError):
            yield attempt
        yield talk.lost
        yield server.stopListening()
