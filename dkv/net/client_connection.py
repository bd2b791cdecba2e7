"""One client's connection: bytes to requests, replies to bytes, and when to stop reading.

Requests go to the gateway many in a message; replies are written many at once; nothing else is done per operation.
A connection reads on only while its client reads its replies, and while the requests not answered yet, with the
replies they may bring, stay within ``connection_inflight_bytes_max``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from dkv.events import Replies, Requests
from dkv.net.large_requests import LARGE_BYTES
from dkv.net.sockets import prepare_socket
from dkv.records import Entry
from dkv.replies import Error, Local, Result
from dkv.settings import KIB, MIB
from dkv.wire.reply_encoder import ReplyEncoder
from dkv.wire.resp import RequestParser

if TYPE_CHECKING:
    from dkv.net.clients import Clients, Interpreter

REQUESTS_PER_MESSAGE = 128
BYTES_PER_MESSAGE = 1 * MIB
"""A message to the gateway holds no more, or a single request."""

REPLY_BYTES_MIN = 1 * KIB
REPLY_BYTES_AT_FIRST = 64 * KIB
"""What a reply is expected to take, until this connection's own replies tell."""

LINGER_SECONDS = 5.0
"""So long may a client take to read its last replies."""


@implementer(IPushProducer, IHalfCloseableProtocol)
class ClientConnection(Protocol):
    """Connection ``number``, from ``peer``. To its transport it is a push producer, of replies."""

    transport: Any  # an ITCPTransport, or its like for another kind of endpoint; zope's interfaces are no types

    def __init__(self, clients: Clients, number: int, peer: str, interpreter: Interpreter) -> None:
        self.number = number
        self.peer = peer
        self.quiet_looks = 0
        """How often the connection was looked at since something came in or went out."""
        self._clients = clients
        self._meter = clients.meter
        self._inflight_bytes_max = clients.limits.connection_inflight_bytes_max
        self._interpreter = interpreter
        self._parser = RequestParser(clients.limits)
        self._encoder = ReplyEncoder()
        self._message_bytes_max = min(BYTES_PER_MESSAGE, clients.limits.request_bytes_max)
        self._outstanding = 0  # requests at the gateway
        self._inflight = 0  # their bytes
        self._reply_bytes = REPLY_BYTES_AT_FIRST
        self._choked = False  # too much is in flight
        self._is_large = False  # the request that was arriving when this was last looked at
        self._unread = False  # the client does not read its replies
        self.unread_bytes = 0
        """Of replies that wait for the client to read them, roughly."""
        self._reading = True
        self._half_closed = False  # the client sends no more, but may read
        self._ended = False  # nothing more is taken in
        self._sends_on = False  # but the client may be in the middle of something
        self._is_tcp = False
        self._closing: Any = None  # the call that will end waiting for the client to read

    @property
    def is_busy(self) -> bool:
        """Whether the client waits for a reply, or the node for it to read one."""
        return self._outstanding > 0 or self._unread or not self._reading

    # --- the transport ---

    def connectionMade(self) -> None:
        """Join the node's clients."""
        self._is_tcp = ITCPTransport.providedBy(self.transport)
        prepare_socket(self.transport)
        self.transport.registerProducer(self, True)
        self._send = self._clients.sender_of(self.transport)
        self._clients.add(self)

    def dataReceived(self, data: bytes) -> None:
        """Take in requests."""
        self._meter.input_bytes += len(data)
        self.quiet_looks = 0
        if not self._ended:
            self._parser.feed(data)
            self.proceed()

    def readConnectionLost(self) -> None:
        """The client sends no more: answer what it sent (``printf 'GET x\\n' | nc -N``), then close."""
        self._half_closed = True
        if self._closing is None:
            self.proceed()
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Nothing: this side is never half closed by us."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Leave: replies under way find nobody."""
        self._ended = True
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self._clients.remove(self, self._outstanding > 0, self._inflight)
        self._have_read()

    def pauseProducing(self) -> None:
        """The client is slow to read: produce no more replies."""
        self._unread = True
        self.balance()

    def resumeProducing(self) -> None:
        """It has read what there was."""
        self._unread = False
        self._have_read()
        self.proceed()

    def _have_read(self) -> None:
        if self.unread_bytes:
            self._clients.unread(-self.unread_bytes)
            self.unread_bytes = 0

    def stopProducing(self) -> None:
        """The transport is closed; ``connectionLost`` says so too."""

    # --- requests in ---

    def proceed(self) -> None:
        """Pass on requests until there are no more, or until something says stop."""
        parser = self._parser
        while not (self._ended or self._choked or self._unread or self._clients.paused):
            count_max = self._requests_at_once()
            requests = parser.take(count_max)
            if requests or parser.error is not None:
                self._pass_on(requests)
            if len(requests) < count_max:
                if self._half_closed and not self._ended:
                    self.finish()
                break
        self.balance()

    def balance(self) -> None:
        """Read on, or stop reading."""
        reading = not (self._ended or self._choked or self._unread or self._clients.paused) and self._may_read()
        if reading != self._reading and self._closing is None:
            self._reading = reading
            if reading:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()

    def finish(self) -> None:
        """Take in nothing more; close once all that was taken in is answered."""
        self._ended = True
        if self._outstanding:
            self.balance()
        else:
            self._close()

    def give_up(self, text: str) -> None:
        """Answer the error ``text`` in the place of the request that is arriving, and close."""
        if not self._ended:
            self._refuse(text)
            self.balance()

    def _may_read(self) -> bool:
        """Whether the request that is arriving, if it has grown large, may grow on."""
        held = self._parser.held
        if held <= LARGE_BYTES and not self._is_large:
            return True
        self._is_large = held > LARGE_BYTES
        return self._clients.large.may_read(self, held)

    def _weigh(self) -> None:
        """Something more is in flight, or something less: is it too much?"""
        load = self._inflight + self._outstanding * self._reply_bytes
        if load > self._inflight_bytes_max:
            self._choked = True
        elif self._choked and load <= self._inflight_bytes_max // 2:
            self._choked = False

    def _requests_at_once(self) -> int:
        """So many that their replies, if they are like the last ones, stay within the limit."""
        room = self._inflight_bytes_max // self._reply_bytes - self._outstanding
        if room >= REQUESTS_PER_MESSAGE:
            return REQUESTS_PER_MESSAGE
        return max(room, 1)

    def _pass_on(self, requests: list[tuple[list[bytes], int]]) -> None:
        """Interpret requests and send them to the gateway; answer at once what needs no waiting for others."""
        interpret, only_read = self._interpreter.interpret, self._interpreter.reads
        items: list[Entry | Local] = []
        reads = local = size = 0
        for arguments, wire_bytes in requests:
            if items and size + wire_bytes > self._message_bytes_max:
                self._deliver(items, reads, local, size)
                items = []
                reads = local = size = 0
            item = interpret(arguments)
            items.append(item)
            size += wire_bytes
            if isinstance(item, list):
                reads += item[0] in only_read
            else:
                local += 1
                if item.close:
                    self._ended = True
                    break
                interpret = self._interpreter.interpret
        if items:
            self._deliver(items, reads, local, size)
        if self._parser.error is not None and not self._ended:
            self._refuse(self._parser.error)

    def _refuse(self, text: str) -> None:
        """The client does not speak our language, or too slowly: say so, in its place among the replies, and close."""
        self._clients.refused_input(self.peer, text)
        self._ended = self._sends_on = True
        self._deliver([Local(Error(text), close=True)], 0, 1, 0)

    def _deliver(self, items: list[Entry | Local], reads: int, local: int, size: int) -> None:
        self._meter.requests += len(items)
        if local == len(items) and not self._outstanding:
            self._reply(items)  # type: ignore[arg-type]  # each of them is a Local
            return
        self._outstanding += len(items)
        self._inflight += size
        self._weigh()
        self._clients.admit(Requests(self.number, items, len(items) - reads - local, reads, size))

    # --- replies out ---

    def on_replies(self, message: Replies) -> None:
        """The gateway has answered the oldest requests outstanding."""
        self.quiet_looks = 0
        self._outstanding -= len(message.replies)
        self._inflight -= message.size
        if self._closing is not None:
            return
        self._reply(message.replies)
        self._weigh()
        if self._ended:
            if not self._outstanding:
                self._close()
        elif not self._reading or self._parser.held:
            self.proceed()

    def _reply(self, replies: Sequence[Result | Local]) -> None:
        data = self._encoder.encode(replies)
        if self._reply_bytes > REPLY_BYTES_MIN or len(data) > REPLY_BYTES_MIN * len(replies):
            # What is expected falls slowly: replies as large as these may come again behind some small ones.
            self._reply_bytes = max(REPLY_BYTES_MIN, len(data) // len(replies), self._reply_bytes // 2)
        self._send(data)
        self._meter.output_bytes += len(data)
        if self._unread and self._closing is None:
            self.unread_bytes += len(data)
            self._clients.unread(len(data))
        if self._encoder.closed:
            self._close()

    def _close(self) -> None:
        """Close when the client has read what was written, or has had time to.

        A client in the middle of sending is listened to until it closes, or a while: a connection closed with
        something unread is reset, and the error that says why would be lost.
        """
        self._ended = True
        if self._closing is not None:
            return
        self._clients.large.forget(self)
        self.transport.unregisterProducer()
        self._closing = self._clients.reactor.callLater(LINGER_SECONDS, self.transport.abortConnection)
        if self._sends_on and not self._half_closed and self._is_tcp:
            self.transport.loseWriteConnection()
            self.transport.resumeProducing()
        else:
            self.transport.loseConnection()
