"""A network in memory: what is dialled through a MemoryReactorClock is joined to what listens there, and pumped."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface import implementer

BUFFER_BYTES = 65536
"""Unsent bytes beyond which a transport pauses its producer, as Twisted's own do."""


@implementer(ITCPTransport)
class End:  # type: ignore[misc]  # only those methods that a link uses
    """One end of a connection: a transport that keeps what is written until the network is pumped."""

    def __init__(self, port: int) -> None:
        self.other: End
        self.protocol: Any = None
        self.producer: Any = None
        self.port = port
        self.unsent = b""
        self.open = True
        self.closing = self.aborted = self.paused = self.blocked = self.no_delay = False
        self.socket = self  # of its methods only setsockopt is called
        self.options: dict[tuple[int, int], int] = {}

    def write(self, data: bytes) -> None:
        if self.open and not self.aborted and not self.closing:
            self.unsent += data
            if self.producer is not None and not self.blocked and len(self.unsent) > BUFFER_BYTES:
                self.blocked = True
                self.producer.pauseProducing()

    def loseConnection(self) -> None:
        self.closing = True

    def abortConnection(self) -> None:
        self.aborted = True
        self.unsent = b""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "10.0.0.1", self.port)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options[level, option] = value

    def end(self, reason: Exception) -> None:
        if self.open:
            self.open = False
            self.protocol.connectionLost(Failure(reason))


class Network:
    """Every connection between meshes that share ``reactor``; ports are only names here.

    A port in ``silent`` is one whose connections carry nothing, as across a cut cable; those in ``closed`` refuse.
    """

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        self.ends: list[End] = []  # dialler, acceptor, dialler, acceptor ...
        self.silent: set[int] = set()
        self.closed: set[int] = set()
        self.dials = 0

    def advance(self, seconds: float) -> None:
        """Let time pass in small steps, so that whatever falls due happens at its time."""
        for _ in range(round(seconds / 0.025)):
            self.reactor.advance(0.025)
            self.pump()

    def pump(self) -> None:
        """Move bytes, connect and disconnect until nothing moves."""
        while self._connect() or self._carry() or self._close():
            pass

    def links(self, port: int) -> list[tuple[End, End]]:
        """Open connections to ``port``, as (dialler, acceptor)."""
        pairs = zip(self.ends[::2], self.ends[1::2], strict=True)
        return [pair for pair in pairs if pair[0].port == port and pair[0].open and pair[1].open]

    def _connect(self) -> bool:
        clients, self.reactor.tcpClients[:] = self.reactor.tcpClients[:], []
        connectors, self.reactor.connectors[:] = self.reactor.connectors[:], []
        for (_, port, factory, _, _), connector in zip(clients, connectors, strict=True):
            if connector.stoppedConnecting:
                continue
            self.dials += 1
            servers = [server[1] for server in self.reactor.tcpServers if server[0] == port]
            if port in self.closed or not servers:
                factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
                continue
            dialler, acceptor = End(port), End(port)
            dialler.other, acceptor.other = acceptor, dialler
            for end, its_factory in ((acceptor, servers[-1]), (dialler, factory)):
                end.protocol = its_factory.buildProtocol(end.getPeer())
            if acceptor.protocol is None:
                factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
                continue
            self.ends += [dialler, acceptor]
            acceptor.protocol.makeConnection(acceptor)
            dialler.protocol.makeConnection(dialler)
        return bool(clients)

    def _carry(self) -> bool:
        moved = False
        for end in list(self.ends):
            to = end.other
            if end.unsent and to.open and not to.paused and not to.aborted and end.port not in self.silent:
                data, end.unsent = end.unsent, b""
                moved = True
                if end.blocked:
                    end.blocked = False
                    end.producer.resumeProducing()
                to.protocol.dataReceived(data)
        return moved

    def _close(self) -> bool:
        closed = False
        for end in list(self.ends):
            if end.open and (end.aborted or (end.closing and not end.unsent)):
                closed = True
                end.end(ConnectionAborted() if end.aborted else ConnectionDone())
                end.other.end(ConnectionDone())
        return closed
