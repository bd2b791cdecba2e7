"""HTTP on the admin port, for visitors of any kind: one small request for each connection, and an end to it.

A request that comes behind another one on the same connection is never read (CVE-2024-41671 is about such requests).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.server import Request, Site

from dkv.net.securing import Shown, shown_by
from dkv.net.strangers import Strangers

CONNECTIONS_MAX = 64
"""Few: descriptors are for clients, and above all for LevelDB."""
CONNECTION_SECONDS = 15
"""How long a visitor may take for all of it: the handshake of TLS, the request, and reading the answer."""
HEADER_BYTES_MAX = 8_192
LINE_BYTES_MAX = 4_096
"""Also shorter than a number that Python refuses to read."""
HEADERS_MAX = 64
BODY_BYTES_MAX = 4_096
"""Nobody has anything to send here, and it would fill memory or disk."""

_BAD = b"400 Bad Request"
_TOO_LARGE = b"413 Request Entity Too Large"


class AdminChannel(HTTPChannel):
    """One connection."""

    totalHeadersSize = HEADER_BYTES_MAX  # noqa: N815 - Twisted's name
    maxHeaders = HEADERS_MAX  # noqa: N815 - as above
    MAX_LENGTH = LINE_BYTES_MAX

    def checkPersistence(self, request: Any, version: bytes) -> bool:  # noqa: N802 - as above
        """Whether another request may follow: never. A pipeline of them would keep the node from its work."""
        request.responseHeaders.setRawHeaders(b"connection", [b"close"])
        return False

    def allHeadersReceived(self) -> None:  # noqa: N802 - as above
        """The length of the body is known now; None if its end is told only when it comes."""
        if self.length is None or self.length > BODY_BYTES_MAX:
            self.refuse(_TOO_LARGE)
            return
        super().allHeadersReceived()  # type: ignore[no-untyped-call]  # Twisted's channels have no annotations

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802 - as above
        """A line has no end, or a late one."""
        self.refuse(_BAD)

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802 - Twisted's own leaves out the header
        self.refuse(_BAD)

    def refuse(self, status: bytes) -> None:
        """Answer what is no request, and listen no more."""
        transport: Any = self.transport
        transport.write(b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status)
        self.dataReceived = self.lineReceived = self.rawDataReceived = lambda *_: None  # type: ignore[method-assign]
        self.loseConnection()  # type: ignore[no-untyped-call]  # as above


def certificate_of(request: Any) -> Shown | None:
    """Whom the certificate names that the visitor who asks has shown; None if there is none."""
    return shown_by(request.channel.transport.transport)  # a visit is around the connection


class QuietSite(Site):
    """Logs no requests: there is a scrape every few seconds."""

    noisy = False
    protocol: Any = AdminChannel  # without HTTP/2, which Twisted would offer over TLS

    def __init__(self, root: Any, reactor: Any) -> None:
        super().__init__(root, Request, timeout=None, reactor=reactor)  # type: ignore[no-untyped-call]  # as above

    def log(self, request: Any) -> None:
        """Called for each request."""


class _Visit(ProtocolWrapper):
    """Ends a connection when it has had its time, whatever comes or does not come through it."""

    factory: AdminSite

    host = ""
    """The visitor's address."""

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        """The time begins before the first byte."""
        peer = self.getPeer()  # type: ignore[no-untyped-call]  # as above
        self.host = str(getattr(peer, "host", peer))
        self._end = self.factory.reactor.callLater(CONNECTION_SECONDS, self.crowded_out)
        super().connectionMade()  # type: ignore[no-untyped-call]  # as above

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802 - as above
        """It has ended, in time or not."""
        if self._end.active():
            self._end.cancel()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # as above

    def crowded_out(self) -> None:
        """End now: its time is over, or others have come."""
        transport: Any = self.transport
        transport.abortConnection()


class AdminSite(WrappingFactory):
    """Keeps ``CONNECTIONS_MAX`` connections. One more ends the oldest of the address that has most of them, so slow
    visitors block nobody."""

    noisy = False
    protocol: Any = _Visit
    _gone: Deferred[None] | None = None

    def __init__(self, site: Site, reactor: Any) -> None:
        super().__init__(site)  # type: ignore[no-untyped-call]  # as above
        self.reactor = reactor
        self._visitors = Strangers(CONNECTIONS_MAX)

    def registerProtocol(self, p: Any) -> None:  # noqa: N802 - Twisted's name
        """A connection is made."""
        super().registerProtocol(p)  # type: ignore[no-untyped-call]  # as above
        self._visitors.add(p)

    def unregisterProtocol(self, p: Any) -> None:  # noqa: N802 - as above
        """A connection has ended."""
        super().unregisterProtocol(p)  # type: ignore[no-untyped-call]  # as above
        self._visitors.remove(p)
        if self._gone is not None and not self._gone.called and not self.protocols:
            self._gone.callback(None)

    def abort(self) -> Deferred[None]:
        """End all connections now; fires when they are gone."""
        gone = self._gone = Deferred()
        for protocol in list(self.protocols):
            transport: Any = protocol.transport
            transport.abortConnection()
        if not self.protocols:
            gone.callback(None)
        return gone
