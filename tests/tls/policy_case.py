"""A port with TLS on a real reactor, and who dials it."""

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
from dkv.net.securing import PEERS, shown_by
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


class PolicyCase(TestCase):
    """Node 1 listens, and others dial it."""

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
