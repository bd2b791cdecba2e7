"""One connection with TLS: a handshake with a deadline first, and the protocol behind it only when that is done."""

from __future__ import annotations

from typing import Any, Protocol

from OpenSSL import SSL
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from dkv.net.securing import Secured, SecuringFailed
from dkv.tls.reasons import NO_TLS, reason_of

HANDSHAKE_SECONDS = 10.0
"""How long a handshake may take."""


class TlsTransport(Secured, TLSMemoryBIOProtocol):
    """What a protocol has for its transport. It does not gather small writes, as Twisted's default does for the price
    of a turn of the reactor: the protocols here write all that they have at once."""

    refused = ""
    """Why this end does not accept the certificate of the other."""

    for_plain = b""
    """What to say to somebody who speaks no TLS, and would not understand an alert of it."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the protocol in words what TLS has to do with it."""
        mine: Failure | None = self._reason  # by which the base class replaces what TCP says
        if mine is not None and isinstance(mine.value, SSL.Error):
            self._reason = Failure(SecuringFailed(self.refused or reason_of(mine.value)))  # type: ignore[no-untyped-call]  # Twisted's
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # as above

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        """TLS is over. A failure with its frames would keep this transport and OpenSSL's memory, some 70 KiB, until
        Python looks for cycles, which it rarely does in a node."""
        if reason is not None:
            if self.for_plain and isinstance(reason.value, SSL.Error) and reason_of(reason.value) == NO_TLS:
                assert self.transport is not None
                self.transport.write(self.for_plain)
            reason.cleanFailure()  # type: ignore[no-untyped-call]  # as above
        super()._tlsShutdownFinished(reason)  # type: ignore[no-untyped-call]  # as above


class HandshakeOwner(Protocol):
    """What a handshake needs of the port that it came in through."""

    @property
    def reactor(self) -> Any:
        """Whose ``callLater`` ends a handshake."""

    def begun(self, handshake: Handshake) -> None:
        """Somebody has connected."""

    def done(self, handshake: Handshake) -> Any:
        """The handshake is done: the protocol for what follows, None to end it."""

    def connected(self, protocol: Any) -> None:
        """That protocol is connected, if there is one."""

    def failed(self, handshake: Handshake, reason: str, is_news: bool) -> None:
        """There will be no protocol. That somebody just went away is no news: load balancers do so every second."""


@implementer(IHandshakeListener)
class Handshake(TwistedProtocol):
    """Stands for the protocol until the handshake is done."""

    transport: Any

    def __init__(self, owner: HandshakeOwner, address: Any) -> None:
        self.address = address
        self.host = str(getattr(address, "host", address))
        self._owner = owner
        self._deadline: Any = None
        self._over = False
        self._late = False

    def connectionMade(self) -> None:
        """The other end is there, and has to show that it can do TLS before long."""
        self._owner.begun(self)
        if not self._over:
            self._deadline = self._owner.reactor.callLater(HANDSHAKE_SECONDS, self._is_late)

    def handshakeCompleted(self) -> None:
        """From here on the protocol itself takes part."""
        if self._over:
            return
        self._end()
        transport = self.transport
        protocol = self._owner.done(self)
        if protocol is None:
            transport.loseConnection()
        else:
            transport.wrappedProtocol = protocol
            protocol.makeConnection(transport)
        self._owner.connected(protocol)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The other end is gone, or the two did not agree."""
        if not self._over:
            self._end()
            self._owner.failed(self, self._in_words(reason), self._late or isinstance(reason.value, SecuringFailed))

    def abort(self) -> None:
        """End it now; nobody is told."""
        if not self._over:
            self._end()
            self.transport.abortConnection()

    def crowded_out(self) -> None:
        """Too many are under way, and most of them at this address."""
        if not self._over:
            self.abort()
            self._owner.failed(self, "too many TLS handshakes were under way, most of them at this address", True)

    def _in_words(self, reason: Failure) -> str:
        if self._late:
            return f"the TLS handshake was not done within {HANDSHAKE_SECONDS:g} s"
        if isinstance(reason.value, SecuringFailed):
            return str(reason.value)
        return "the connection ended before the TLS handshake was done"

    def _is_late(self) -> None:
        self._late = True
        self.transport.abortConnection()

    def _end(self) -> None:
        self._over = True
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
