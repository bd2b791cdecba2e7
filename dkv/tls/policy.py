"""One policy of TLS for all ports of a node: who may connect, and with which certificate the node shows who it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import NoProtocol
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from dkv.net.securing import ADMIN, CLIENTS, HANDSHAKES_MAX, SecuringFailed
from dkv.net.sockets import address_text
from dkv.net.strangers import Strangers
from dkv.tls.credentials import Credentials
from dkv.tls.names import shown
from dkv.tls.transport import Handshake, TlsTransport

FOR_PLAIN = {
    CLIENTS: b"-ERR this port takes TLS only\r\n",
    ADMIN: b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\nthis port takes TLS only: use https\n",
}
"""What a port says to somebody who speaks no TLS, by its kind."""

Refused = Callable[[str, str, str], None]
"""Is told the kind of a port, who has connected there, and why that came to nothing."""

Admitted = Callable[[str, str], None]
"""Is told the kind of a port, and who is done with the handshake there."""


def _tell_nobody(_: str, __: str) -> None:
    """Nobody wants to know who got in."""


class TlsPolicy:
    """Puts ports and dialled connections behind TLS, with the ``credentials`` of the moment.

    Each connection takes those that are in force when it begins. So new ones need no restart, and end no connection.
    ``refused`` is told why somebody did not get in, and ``admitted`` who did.
    """

    def __init__(
        self,
        reactor: Any,
        credentials: Credentials,
        refused: Refused,
        handshakes_max: int = HANDSHAKES_MAX,
        admitted: Admitted = _tell_nobody,
    ) -> None:
        self.reactor = reactor
        self.credentials = credentials
        self.refused = refused
        self.admitted = admitted
        self.handshakes_max = handshakes_max
        """How many handshakes may be under way at one port."""
        self.refusals = 0
        """How many connections were not let in so far."""
        self._ports: list[_Port] = []

    def adopt(self, credentials: Credentials) -> None:
        """These count for all connections from now on."""
        self.credentials = credentials

    def listening(self, factory: Any, port: str) -> Any:
        """The factory to listen with in place of ``factory``, on a port of the kind ``port``."""
        made = _Port(self, factory, port)
        self._ports.append(made)
        return self._wrapped(made, False, lambda: self.credentials.contexts.listening[port])

    def dialling(self, endpoint: Any) -> Any:
        """The client endpoint to dial a peer with in place of ``endpoint``."""
        return _DialledOverTls(self, endpoint)

    def stop(self) -> None:
        """End the handshakes that are under way."""
        for port in self._ports:
            port.abort()

    def dialled(self, factory: Any) -> Any:
        """A factory for connections that this node dials."""
        return self._wrapped(factory, True, lambda: self.credentials.contexts.dialling)

    def protocol_for(self, handshake: Handshake, factory: Any) -> Any:
        """The handshake is done: what ``factory`` makes, which may ask its transport who is at the other end."""
        certificate = handshake.transport.getPeerCertificate()
        if certificate is not None:
            handshake.transport.shown = shown(certificate.to_cryptography(), self.credentials.cluster)
        return factory.buildProtocol(handshake.address)

    def _wrapped(self, factory: Any, is_client: bool, context: Callable[[], SSL.Context]) -> Any:
        made = TLSMemoryBIOFactory(_Creator(context), is_client, factory, self.reactor)
        made.protocol = TlsTransport
        return made


@implementer(IOpenSSLServerConnectionCreator, IOpenSSLClientConnectionCreator)
class _Creator:
    """Begins each connection with the context of the moment."""

    def __init__(self, context: Callable[[], SSL.Context]) -> None:
        self._context = context

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N803 - Twisted's names
        """A client has connected."""
        return self._connection(tlsProtocol)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N803 - as above
        """This node has connected to another."""
        return self._connection(tlsProtocol)

    def _connection(self, transport: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context(), None)
        connection.set_app_data(transport)
        return connection


class _Port(Factory):
    """Lets connections do their handshake before ``behind`` hears of them."""

    noisy = False

    def __init__(self, policy: TlsPolicy, behind: Any, kind: str) -> None:
        self.reactor = policy.reactor
        self._policy = policy
        self._behind = behind
        self._kind = kind
        self._handshakes: dict[Handshake, None] = {}
        self._crowd = Strangers(policy.handshakes_max)  # of the same ones

    def doStart(self) -> None:
        """The port opens."""
        self._behind.doStart()

    def doStop(self) -> None:
        """The port closes. Handshakes go on, as connections do."""
        self._behind.doStop()

    def buildProtocol(self, addr: Any) -> Handshake:
        """Somebody connects: a handshake first."""
        return Handshake(self, addr)

    def begun(self, handshake: Handshake) -> None:
        """One more is under way; if there are too many, one of the address with most of them ends."""
        self._handshakes[handshake] = None
        handshake.transport.for_plain = FOR_PLAIN.get(self._kind, b"")
        self._crowd.add(handshake)

    def done(self, handshake: Handshake) -> Any:
        """It may be served, or refused, as if there were no TLS."""
        self._forget(handshake)
        self._policy.admitted(self._kind, address_text(handshake.address))
        return self._policy.protocol_for(handshake, self._behind)

    def connected(self, protocol: Any) -> None:
        """It goes on without this port."""

    def failed(self, handshake: Handshake, reason: str, is_news: bool) -> None:
        """It came to nothing."""
        self._forget(handshake)
        self._policy.refusals += 1
        if is_news:
            self._policy.refused(self._kind, address_text(handshake.address), reason)

    def _forget(self, handshake: Handshake) -> None:
        self._handshakes.pop(handshake, None)
        self._crowd.remove(handshake)

    def abort(self) -> None:
        """End all handshakes."""
        for handshake in list(self._handshakes):
            handshake.abort()
            self._forget(handshake)


@implementer(IStreamClientEndpoint)
class _DialledOverTls:
    """Dials as ``endpoint`` does, and is connected when the handshake is done."""

    def __init__(self, policy: TlsPolicy, endpoint: Any) -> None:
        self._policy = policy
        self._endpoint = endpoint

    def connect(self, factory: Any) -> Deferred[Any]:
        """Fires with the protocol that ``factory`` made; fails with ``SecuringFailed``, or as the endpoint does."""
        return _Attempt(self._policy, factory).connect(self._endpoint)


class _Attempt(Factory):
    """One attempt to connect with TLS."""

    noisy = False

    def __init__(self, policy: TlsPolicy, behind: Any) -> None:
        self.reactor = policy.reactor
        self._policy = policy
        self._behind = behind
        self._handshake: Handshake | None = None
        self._connected: Deferred[Any] = Deferred(self._cancel)
        self._connecting: Deferred[Any] | None = None

    def connect(self, endpoint: Any) -> Deferred[Any]:
        """Begin. TCP first: if that comes to nothing, it is told as without TLS."""
        connecting = self._connecting = endpoint.connect(self._policy.dialled(self))
        connecting.addErrback(self._not_connected)
        return self._connected

    def buildProtocol(self, addr: Any) -> Handshake:
        """TCP is connected."""
        return Handshake(self, addr)

    def begun(self, handshake: Handshake) -> None:
        """The handshake begins; it is ended if nobody waits for it any more."""
        self._handshake = handshake

    def done(self, handshake: Handshake) -> Any:
        """Both ends agree."""
        return self._policy.protocol_for(handshake, self._behind)

    def connected(self, protocol: Any) -> None:
        """Whoever waits hears of it in this moment, as without TLS."""
        self._fire(protocol if protocol is not None else Failure(NoProtocol()))  # type: ignore[no-untyped-call]  # Twisted's

    def failed(self, handshake: Handshake, reason: str, is_news: bool) -> None:
        """They do not agree, or the other end is gone."""
        self._fire(Failure(SecuringFailed(reason)))  # type: ignore[no-untyped-call]  # Twisted's

    def _not_connected(self, failure: Failure) -> None:
        self._fire(failure)

    def _fire(self, result: Any) -> None:
        if not self._connected.called:
            self._connected.callback(result)

    def _cancel(self, _: Deferred[Any]) -> None:
        if self._handshake is not None:
            self._handshake.abort()
        elif self._connecting is not None:
            self._connecting.cancel()
