"""TCP in memory, as unkind as a network may be: the two ends of a connection and the two ways between them.

What is written waits in the sender's buffer, then travels, as much at a time as the kernels take, and is read in
pieces of any size. Buffers, producers and closing follow Twisted's own transports: a close waits for what is unsent,
a paused reader does not notice it, an abort loses what has not arrived.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from tests.byte_level.sites import Net, Site

OVERHEARD_BYTES = 4096
"""How much of the beginning of each stream somebody on the network may remember."""

BUFFER_BYTES = 65536
"""Unsent bytes beyond which a transport pauses its producer, as Twisted's own do."""


class Mark(Enum):
    """What travels beside bytes."""

    END = "end"  # nothing follows: the sender has closed
    RESET = "reset"  # the connection is no more


class Way:
    """One direction of a connection: what has left one end and has not been read at the other."""

    def __init__(self, net: Net, source: End, sink: End) -> None:
        self._net = net
        self._source = source
        self._sink = sink
        self._flight: deque[bytes | Mark] = deque()
        self._waiting = 0  # of those in flight, which would have arrived
        self._arrival = 0.0  # of the last one
        self._lost = False
        self.stalled = False
        """Whether what was sent waits, on this connection alone."""
        self.unread_bytes = 0

    def room(self) -> int:
        """How many bytes more the kernels take."""
        return max(0, self._net.window_bytes - self.unread_bytes)

    def carry(self, item: bytes | Mark) -> None:
        """Bring ``item`` to the other end, behind all that was sent before."""
        if isinstance(item, bytes):
            self.unread_bytes += len(item)
            if len(self._source.wrote) < OVERHEARD_BYTES:
                self._source.wrote += item
        if self._lost:
            return
        self._flight.append(item)
        self._arrival = max(self._arrival, self._net.clock.seconds() + self._net.delay())
        self._net.clock.callLater(self._arrival - self._net.clock.seconds(), self._arrive)

    def reset(self) -> None:
        """Tell the other end that the connection is no more; from some byte on it does not get what was under way."""
        for index in range(self._net.random.randint(0, len(self._flight)), len(self._flight)):
            self._flight[index] = b""
        self.carry(Mark.RESET)

    def lose(self) -> None:
        """Nothing arrives any more."""
        self._lost = True
        self._flight.clear()

    def release(self) -> None:
        """What was held back arrives in a burst."""
        self.stalled = False
        waiting, self._waiting = self._waiting, 0
        delay = self._net.delay()
        for _ in range(waiting):
            self._net.clock.callLater(delay, self._arrive)

    def _arrive(self) -> None:
        if self._lost:
            return
        if self.stalled or (self._source.host, self._sink.host) in self._net.held:
            self._waiting += 1
        else:
            self._sink.arrived(self._flight.popleft())


@implementer(ITCPTransport)
class End:  # type: ignore[misc]  # only those methods that a link uses
    """One end of a connection: the transport of its protocol."""

    other: End
    way: Way
    """To the other end."""

    def __init__(self, site: Site, there: IPv4Address) -> None:
        self.site = site
        self.host = site.host
        self.open = True
        self.protocol: Any = None
        self.unsent = bytearray()
        self.wrote = bytearray()
        """The beginning of what has left it."""
        self.no_delay = False
        self.damage: tuple[int, int] | None = None
        """Which byte of the next write to change, counted within it, and which bits."""
        self._there = there
        self._received = bytearray()
        self._ended = False
        self._reading = True
        self._closing = self._aborting = self._flushing = False
        self._producer: Any = None
        self._producer_paused = False

    def begin(self, protocol: Any) -> None:
        """Connected, as the process sees it."""
        self.protocol = protocol
        protocol.makeConnection(self)
        self.site.callLater(0, self._read)

    # --- what a protocol calls ---

    def getPeer(self) -> IPv4Address:
        return self._there

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self.host, 0)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def write(self, data: bytes) -> None:
        if not self.open or self._aborting or not data:
            return
        if self.damage is not None and self.damage[0] < len(data):  # an alert of TLS is shorter than any frame
            (index, bits), self.damage = self.damage, None
            data = data[:index] + bytes((data[index] ^ bits,)) + data[index + 1 :]
        self.unsent += data
        if self._producer is not None and len(self.unsent) > BUFFER_BYTES:
            self._producer_paused = True
            self._producer.pauseProducing()
        self._flush_soon()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming and self._producer is None
        self._producer = producer
        if not self.open:
            producer.stopProducing()

    def unregisterProducer(self) -> None:
        self._producer = None
        if self._closing:
            self._flush_soon()

    def pauseProducing(self) -> None:
        self._reading = False

    def resumeProducing(self) -> None:
        if self.open and not self._closing:
            self._reading = True
            self.site.callLater(0, self._read)

    def loseConnection(self) -> None:
        if self.open and not self._closing:
            self._closing = True
            self._flush_soon()

    def loseWriteConnection(self) -> None:
        self.loseConnection()  # here both ways at once: who is refused has nothing more to say

    def abortConnection(self) -> None:
        if self.open and not self._aborting:
            self._aborting = True
            self.way.reset()
            self.site.callLater(0, self.lose, ConnectionAborted())

    # --- what the network does ---

    def arrived(self, item: bytes | Mark) -> None:
        """Bytes, an end or a reset have come in."""
        if item is Mark.RESET:
            self.lose(ConnectionLost())
        elif not self.open:
            if item:
                self.way.carry(Mark.RESET)  # a kernel's answer to what belongs to no connection
        else:
            self._ended = self._ended or item is Mark.END
            if isinstance(item, bytes):
                self._received += item
            self._read()

    def lose(self, reason: Exception) -> None:
        """The connection is no more, and the protocol is told."""
        if not self.open:
            return
        self.open = False
        self.unsent.clear()
        if self._producer is not None:
            self._producer.stopProducing()
        if self.protocol is not None and self.site.alive:
            self.protocol.connectionLost(Failure(reason))

    def _reads(self) -> bool:
        busy = self._closing or self._aborting or self.protocol is None
        return self.open and self._reading and self.site.alive and not busy

    def _read(self) -> None:
        """Hand on what has come in, in pieces, as far as the protocol takes it."""
        random, most = self.site.net.random, self.site.net.chunk_bytes_max
        while self._received and self._reads():
            size = random.randint(1, most)
            data = bytes(self._received[:size])
            del self._received[:size]
            self.other.way.unread_bytes -= len(data)
            self.protocol.dataReceived(data)
        if self.other.unsent:
            self.other.flush()
        if self._ended and not self._received and self._reads():
            self.lose(ConnectionDone())

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self.site.callLater(0, self.flush)

    def flush(self) -> None:
        """Hand to the kernel what it takes; when that is all, let the producer go on, or else close if asked to."""
        self._flushing = False
        if not self.open or self._aborting:
            return
        size = min(self.way.room(), len(self.unsent))
        if size and self.site.net.random.random() < 0.5:
            size = self.site.net.random.randint(1, size)
        wrote = bytes(self.unsent[:size])
        if wrote:
            del self.unsent[:size]
            self.way.carry(wrote)
        if self.unsent:
            if self.way.room():
                self._flush_soon()
        elif self._producer_paused and self._producer is not None:
            self._producer_paused = False
            self._producer.resumeProducing()
        elif self._closing:
            if self._received:
                self.way.reset()  # what a kernel says of bytes that nobody will read
            else:
                self.way.carry(Mark.END)
            self.lose(ConnectionDone())
