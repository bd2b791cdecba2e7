"""One connection of a Twisted client: bytes become replies, and its owner is told of them and of the end."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from dkv.client.answers import AnswerParser, Incomplete, NotUnderstood, Reply
from dkv.client.blocking import NotSent, encode
from dkv.replies import Error


class LineOwner(Protocol):
    """Who has the connection."""

    def on_replies(self, replies: list[Reply], problem: str) -> None:
        """These have come. If there is a ``problem``, the connection is of no more use behind them."""

    def on_lost(self, reason: str) -> None:
        """The connection has ended."""


class LineProtocol(TwistedProtocol):
    """A connection to a node, from its ``owner`` if it has one."""

    def __init__(self) -> None:
        self.owner: LineOwner | None = None
        self._parser = AnswerParser()
        self._selected: Deferred[LineProtocol] | None = None
        self._gone: Deferred[None] = Deferred()
        self._has_ended = False

    def connectionMade(self) -> None:
        """Requests are not to wait for the answers to those before them."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def select(self, database: int) -> Deferred[LineProtocol]:
        """Fires when the connection is in the database; fails with ``NotSent`` if it will not be."""
        if not database:
            return succeed(self)
        self._selected = Deferred(lambda _: self._abort())
        self.send(encode((b"SELECT", b"%d" % database)))
        return self._selected

    def send(self, data: bytes) -> None:
        """Send requests."""
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
        self._parser.feed(data)
        replies: list[Reply] = []
        problem = ""
        try:
            while not isinstance(reply := self._parser.take(), Incomplete):
                replies.append(reply)
        except NotUnderstood as error:
            problem = str(error)
        if self._selected is not None:
            self._on_selected(replies, problem)
        elif self.owner is not None and (replies or problem):
            self.owner.on_replies(replies, problem)

    def _on_selected(self, replies: list[Reply], problem: str) -> None:
        if not replies and not problem:
            return
        assert self._selected is not None
        selected, self._selected = self._selected, None
        if replies == ["OK"] and not problem:
            selected.callback(self)
            return
        self.hang_up()
        said = replies[0].text if replies and isinstance(replies[0], Error) else problem or "not in RESP"
        selected.errback(NotSent(f"it answered SELECT otherwise: {said:.80}"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection has ended."""
        self._has_ended = True
        if self._selected is not None:
            selected, self._selected = self._selected, None
            selected.errback(NotSent("it closed the connection"))
        if self.owner is not None:
            self.owner.on_lost(reason.getErrorMessage())
        self._gone.callback(None)
