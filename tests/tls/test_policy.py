"""TLS on ports and dialled connections: who gets in, and what both ends say of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from dkv.config.tls_settings import TlsSettings
from dkv.net.securing import PEERS, SecuringFailed, Shown, is_secured, shown_by
from dkv.tls.credentials import Credentials, load_credentials
from dkv.tls.policy import TlsPolicy
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
        self.told: Deferred[None] = Deferred()

    def settings(self, pair: Pair | None = None, **more: Any) -> TlsSettings:
        """Those of node 1, or with other files."""
        home = self.certificates.directory
        files = (str(home / "node{id}.pem"), str(home / "node{id}.key"))
        if pair is not None:
            files = (str(pair.certificate), str(pair.key))
        return replace(TlsSettings(str(self.certificates.ca), *files), **more)

    def policy(self, credentials: Credentials) -> TlsPolicy:
        """Everybody who is refused is noted."""

        def refused(port: str, address: str, reason: str) -> None:
            self.refused.append((port, reason))
            told, self.told = self.told, Deferred()
            told.callback(None)

        return TlsPolicy(reactor, credentials, refused)

    @inlineCallbacks
    def listen(self, port: str = PEERS, **more: Any) -> Any:
        """Node 1 listens; the policy that dials it is node 2's."""
        self.talks = Talks()
        self.listening = self.policy(load_credentials(self.settings(**more), 1, "c"))
        server = yield TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
            self.listening.listening(self.talks, port)
        )
        self.addCleanup(server.stopListening)
        self.addCleanup(self.listening.stop)
        self.endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", server.getHost().port)

    def dial(self, credentials: Credentials) -> Any:
        """Connect with these."""
        return self.policy(credentials).dialling(self.endpoint).connect(Talks())

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
