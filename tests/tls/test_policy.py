"""TLS on ports and dialled connections: who gets in, and what both ends say of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from dkv.net.refusal import Refusal
from dkv.net.securing import ADMIN, CLIENTS, PEERS, SecuringFailed, Shown, is_secured
from dkv.replies import Error
from dkv.tls import policy, transport
from dkv.tls.credentials import Credentials, load_credentials
from dkv.tls.policy import FOR_PLAIN
from tests.certificates import Pair
from tests.tls.policy_case import PolicyCase, Talks, reactor


class PolicyTests(PolicyCase):
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
