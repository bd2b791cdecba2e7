"""One connection of a Twisted client: bytes become replies, and its owner is told of them and of the end."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from dkv.client.admission import NO_USER, NOBODYS_GREETING
from dkv.client.answers import AnswerParser, Incomplete, NotUnderstood, Reply, SpeaksTls
from dkv.client.blocking import NoAnswer, NotSent, ServerError, encode, error_of
from dkv.client.endpoint import Endpoint
from dkv.client.tls_layer import NO_HANDSHAKE, TlsFailure, TlsLayer
from dkv.replies import Error


class LineOwner(Protocol):
    """Who has the connection."""

    def on_replies(self, replies: list[Reply], problem: NotSent | NoAnswer | None) -> None:
        """These have come. If there is a ``problem``, the connection is of no more use behind them."""

    def on_lost(self, reason: str) -> None:
        """The connection has ended."""


class LineProtocol(TwistedProtocol):
    """A connection to a node, from its ``owner`` if it has one.

    TLS is a layer of its own here, the same as that of the blocking client: its errors are the same, and nothing but
    the standard library is needed for it.
    """

    def __init__(self) -> None:
        self.owner: LineOwner | None = None
        self._parser = AnswerParser()
        self._layer: TlsLayer | None = None
        self._entering: Deferred[LineProtocol] | None = None
        self._endpoint: Endpoint
        self._first: list[tuple[bytes, ...]] = []  # the requests that come before those of the owner
        self._answered: list[Reply] = []
        self._gone: Deferred[None] = Deferred()
        self._has_ended = False

    def connectionMade(self) -> None:
        """Requests are not to wait for the answers to those before them."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def enter(self, endpoint: Endpoint, database: int) -> Deferred[LineProtocol]:
        """Get in by the ``access`` of ``endpoint``, and choose the database.

        Fires when that is done; fails with ``NotSent`` if it is not possible, and with ``ServerError`` if the node
        refuses user or password.
        """
        self._endpoint, access = endpoint, endpoint.access
        select = (b"SELECT", b"%d" % database) if database else ()
        self._first = [each for each in (access.greeting, select) if each]
        if access.tls is None and not self._first:
            return succeed(self)
        entering = self._entering = Deferred(self._not_awaited)
        if access.tls is None:
            self._begin()
            return entering
        try:
            self._layer = TlsLayer(access.tls, endpoint.host)
            self._shake(self._layer, b"")
        except TlsFailure as error:
            self._refused(NotSent(str(error)))
        return entering

    def send(self, data: bytes) -> None:
        """Send requests."""
        self._write(data if self._layer is None else self._layer.seal(data))

    def _write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def hang_up(self) -> Deferred[None]:
        """End the connection at once; fires when it has ended. Its owner hears nothing of it any more."""
        self.owner = None
        self._abort()
        return self._gone

    def _abort(self) -> None:
        if not self._has_ended and ITCPTransport.providedBy(self.transport):
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Read what has come."""
        replies: list[Reply] = []
        problem: NotSent | NoAnswer | None = None
        try:
            self._parser.feed(data if self._layer is None else self._opened(self._layer, data))
            while not isinstance(reply := self._parser.take(), Incomplete):
                replies.append(reply)
        except SpeaksTls as error:  # so nothing was executed that came without TLS
            problem = NotSent(str(error))
        except (NotUnderstood, TlsFailure) as error:
            problem = NoAnswer(str(error))
        if problem is None and self._layer is not None and self._layer.failure is not None:
            problem = NoAnswer(str(self._layer.failure))  # it came together with the last replies
        if self._entering is not None:
            self._on_first(replies, problem)
        elif self.owner is not None and (replies or problem):
            self.owner.on_replies(replies, problem)

    # --- TLS ---

    def _opened(self, layer: TlsLayer, data: bytes) -> bytes:
        """What the node says by ``data``, which may be a part of the handshake."""
        if layer.is_open:
            return layer.opened(data)
        self._shake(layer, data)
        if not layer.is_open:
            return b""
        self._begin()
        return layer.opened(b"")

    def _shake(self, layer: TlsLayer, data: bytes) -> None:
        try:
            layer.shake(data)
        finally:
            self._write(layer.outgoing)  # such as the reason for which it fails

    # --- the way in ---

    def _not_awaited(self, _: Deferred[LineProtocol]) -> None:
        """Nobody waits any more until it is in."""
        self._entering = None
        self._abort()

    def _begin(self) -> None:
        """Send the first requests. With TLS there is one at least."""
        self.send(b"".join(map(encode, self._first)))

    def _on_first(self, replies: list[Reply], problem: NotSent | NoAnswer | None) -> None:
        self._answered += replies
        for request, reply in zip(self._first, self._answered, strict=False):
            refusal = _refusal(self._endpoint, request, reply)
            if refusal is not None:
                self._refused(refusal)
                return
        if problem is not None or len(self._answered) > len(self._first):
            self._refused(NotSent(str(problem or "it spoke unasked")))
        elif len(self._answered) == len(self._first):
            assert self._entering is not None
            entering, self._entering = self._entering, None
            entering.callback(self)

    def _refused(self, reason: NotSent | ServerError) -> None:
        assert self._entering is not None
        entering, self._entering = self._entering, None
        self.hang_up()
        entering.errback(reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection has ended."""
        self._has_ended = True
        if self._entering is not None:
            entering, self._entering = self._entering, None
            in_handshake = self._layer is not None and not self._layer.is_open
            entering.errback(NotSent(NO_HANDSHAKE if in_handshake else "it closed the connection"))
        if self.owner is not None:
            self.owner.on_lost(reason.getErrorMessage())
        self._gone.callback(None)


def _refusal(endpoint: Endpoint, request: tuple[bytes, ...], reply: Reply) -> NotSent | ServerError | None:
    """Why a client does not get in that is answered this, if it does not."""
    if isinstance(reply, Error):
        error = error_of(endpoint, reply)
        if isinstance(error, NoAnswer):
            return NotSent(str(error).removeprefix(f"{endpoint}: "))
        if request == NOBODYS_GREETING and error.word == NO_USER:
            return None  # it will say so to each request that needs a user
        return error
    if request[0] == b"SELECT" and reply != "OK":
        return NotSent(f"it does not answer SELECT as a node of dkv would: {reply!r:.60}")
    return None
