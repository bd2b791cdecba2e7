"""One client's connection: bytes to requests, and replies to bytes.

Requests go to the gateway many in a message, and replies are written many at once. Nothing else is done per operation.
``FlowControl`` says whether the connection reads on, ``connection_state`` how it comes to its end, ``holding`` when
nothing more is interpreted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from sys import intern
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from dkv.client_events import Replies, Requests
from dkv.net.connection_owner import ConnectionOwner
from dkv.net.connection_state import ENDS, TAKES_IN, ConnectionInput, ConnectionState, after
from dkv.net.flow_control import FlowControl
from dkv.net.holding import AwaitedReply, Hold, Words
from dkv.net.interpreter import Interpreter
from dkv.net.lingering import Lingering
from dkv.net.securing import can_close_one_way, close, close_one_way, shown_by
from dkv.net.sockets import address_text, prepare_socket
from dkv.net.uptake import taken_bytes
from dkv.records import Entry
from dkv.replies import Awaited, Error, Local, Notice, Result
from dkv.settings import MIB
from dkv.wire.reply_encoder import ReplyEncoder
from dkv.wire.request_limits import limits_of_the_unnamed
from dkv.wire.resp import RequestParser

BYTES_PER_MESSAGE = 1 * MIB
"""A message to the gateway holds no more bytes, unless it is a single request."""

NAME_BYTES_MAX = 32
"""No name of a command has more bytes."""

OPEN = ConnectionState.OPEN  # bound once: looked at for each read and each message of replies


@implementer(IPushProducer, IHalfCloseableProtocol)
class ClientConnection(TwistedProtocol):
    """Connection ``number``, from ``peer``. To its transport it is a push producer, of replies."""

    transport: Any  # an ITCPTransport, or its like for another kind of endpoint; zope's interfaces are no types

    def __init__(
        self, clients: ConnectionOwner[ClientConnection], number: int, peer: str, interpreter: Interpreter
    ) -> None:
        self.number = number
        self.peer = peer
        self.interpreter = interpreter
        self.local = ""
        """The address of this node that the client has connected to."""
        self.made_at = self.heard_at = clients.meter.now
        """When the client has connected, and when it sent something last, to about a second; in monotonic seconds."""
        self.quiet_looks = 0
        """How often the connection was looked at since something came in or went out."""
        self.last_words = (b"", b"")
        """How the last request begins that was taken in: a command, and what stands where its subcommand would."""
        self.flow = FlowControl(clients, self, clients.limits.connection_inflight_bytes_max)
        self._clients = clients
        self._meter = clients.meter
        self._parser = RequestParser(clients.limits)
        self._encoder = ReplyEncoder()
        self._message_bytes_max = min(BYTES_PER_MESSAGE, clients.limits.request_bytes_max)
        self._state = OPEN
        self._reading = True  # what the transport was told last
        self._hold: Hold | AwaitedReply | None = None
        self._behind: list[tuple[Words, int]] = []  # what was parsed behind a hold that is over
        self._can_linger = False
        self._lingering: Lingering | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the client waits for a reply or a message, or the node for it to read one."""
        flow = self.flow
        return flow.outstanding > 0 or flow.unread or not self._reading or self.interpreter.listens

    @property
    def unread_bytes(self) -> int:
        """The bytes of replies and messages that wait for the client to read them, roughly."""
        return self.flow.unread_bytes + self.flow.pushed_bytes

    @property
    def held_bytes(self) -> int:
        """The bytes of requests that have arrived and are not passed on."""
        return self._parser.held

    @property
    def is_awaited(self) -> bool:
        """Whether a password that the client has sent is being checked."""
        return type(self._hold) is AwaitedReply

    @property
    def now(self) -> float:
        """The time in monotonic seconds, as ``made_at`` and ``heard_at`` tell it."""
        return self._meter.now

    # --- the transport ---

    def connectionMade(self) -> None:
        """A client is there: join the node's clients."""
        self._can_linger = can_close_one_way(self.transport)
        prepare_socket(self.transport)
        self.transport.registerProducer(self, True)
        self._send = self._clients.sender_of(self.transport)
        self.made_at = self.heard_at = self._meter.now
        self.local = intern(address_text(self.transport.getHost()))  # most clients have connected to the same one
        self._clients.add(self)
        shown = shown_by(self.transport)
        if shown is not None and shown.users:
            self.interpreter.proved(shown.users)
        if self.interpreter.is_unnamed:
            self.forget_name()

    def dataReceived(self, data: bytes) -> None:
        """The client has sent something: take in the requests in it, unless the connection is coming to its end."""
        self._meter.input_bytes += len(data)
        self.heard_at = self._meter.sampled_at
        self.quiet_looks = 0
        if self._state is OPEN:
            self._parser.feed(data)
            self.proceed()

    def readConnectionLost(self) -> None:
        """The client sends no more: answer what it sent (``printf 'GET x\\n' | nc -N``), then close."""
        self._become(ConnectionInput.HALF_CLOSE)
        if self._state is ConnectionState.CLOSING:
            self.transport.loseConnection()  # It was only listened to until it closed.
        else:
            self.proceed()

    def writeConnectionLost(self) -> None:
        """This side sends no more, which was its own decision (``_close``)."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The connection has ended: leave. Nobody waits for the replies that are under way."""
        self._become(ConnectionInput.LOST)
        self._hold = None
        self.interpreter.gone()
        if self._lingering is not None:
            self._lingering.stop()
        self._clients.remove(self, self.flow.outstanding > 0, self.flow.inflight)
        self.flow.lost()

    def pauseProducing(self) -> None:
        """The transport's buffer has filled: the client is slow to read. Make no more replies."""
        self.flow.client_is_slow()
        self.balance()

    def resumeProducing(self) -> None:
        """The transport's buffer is empty: the client has read what there was, and may have more."""
        self.flow.client_has_read()
        self.proceed()

    def stopProducing(self) -> None:
        """The transport is closed. ``connectionLost`` says so too."""

    # --- requests in ---

    def proceed(self) -> None:
        """Pass on requests until there are no more, or until something says stop."""
        parser, flow = self._parser, self.flow
        if self._behind and flow.is_open and not self._clients.paused:
            behind, self._behind = self._behind, []
            self._pass_on(behind)
        while flow.is_open and not self._clients.paused:
            count_max = min(flow.room(), self._clients.requests_at_once(self))
            if not count_max:
                break
            requests = parser.take(count_max)
            if requests or parser.error is not None:
                if requests:
                    self._note(requests[-1][0])
                self._pass_on(requests)
            if len(requests) < count_max:
                if self._state is ConnectionState.HALF_CLOSED and self._hold is None:
                    self.finish()  # The client had no more to say.
                break
        self.balance()

    def _note(self, words: Words) -> None:
        """Remember how a request begins, the last of many: no more than names, and nothing that may be a secret."""
        name = words[0][:NAME_BYTES_MAX]
        has_subcommand = len(words) > 1 and name.lower() in self.interpreter.containers
        self.last_words = name, words[1][:NAME_BYTES_MAX] if has_subcommand else b""

    def balance(self) -> None:
        """Read on, or stop reading."""
        reading = self.flow.may_read(self._parser.held)
        if reading != self._reading:
            self._reading = reading
            if reading:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()

    def finish(self) -> None:
        """Take in nothing more; close once all that was taken in is answered."""
        self._become(ConnectionInput.FINISH)
        if self.flow.outstanding:
            self.balance()
        elif self._state in ENDS:
            self._close()

    def give_up(self, text: str) -> None:
        """Answer the error ``text`` in the place of the request that is arriving, and close."""
        if self._state in TAKES_IN:
            self._refuse(text)
            self.balance()

    @property
    def taken_bytes(self) -> int:
        """How many bytes that were written are out of the node's memory."""
        return taken_bytes(self.transport)

    def has_read(self, size: int) -> None:
        """``size`` bytes of what waited are out of the node's memory."""
        self.flow.client_has_read_some(size)

    def cut_off(self) -> None:
        """End the connection now, for what its client does not read takes the memory that others need."""
        self._clients.complaints.warning("client_cut_off", peer=self.peer, unread_bytes=self.unread_bytes)
        self.transport.abortConnection()

    def kill(self) -> None:
        """End the connection now, on somebody's order."""
        self.transport.abortConnection()

    def _pass_on(self, requests: list[tuple[Words, int]]) -> None:
        """Interpret requests and send them to the gateway; answer at once what needs no waiting for others."""
        interpret, only_read = self.interpreter.interpret, self.interpreter.reads
        items: list[Entry | Local] = []
        reads = local = size = 0
        coming = iter(requests)
        for arguments, wire_bytes in coming:
            if items and size + wire_bytes > self._message_bytes_max:
                self._deliver(items, reads, local, size)
                items, reads, local, size = [], 0, 0, 0
            item = interpret(arguments)
            if isinstance(item, list):
                items.append(item)
                size += wire_bytes
                reads += item[0] in only_read
                continue
            if type(item) is Local:
                items.append(item)
                size += wire_bytes
                local += 1
                if item.close:
                    self._become(ConnectionInput.FINISH)
                    break  # What a client sends behind QUIT is not even looked at.
            else:
                if items:
                    self._deliver(items, reads, local, size)
                    items, reads, local, size = [], 0, 0, 0
                if type(item) is Awaited:
                    self._await(item, list(coming))
                    return
                self._deliver([item.entry], item.entry[0] in only_read, 0, wire_bytes + item.size, item.alone)
                if item.settle is not None:
                    self._hold = Hold(item.settle, self.flow.outstanding, list(coming))
                    self.flow.hold()
                    return
            interpret = self.interpreter.interpret
        if items:
            self._deliver(items, reads, local, size)
        if self._parser.error is not None and self._state in TAKES_IN:
            self._refuse(self._parser.error)

    # --- who is it? ---

    def forget_name(self) -> None:
        """The client has to say who it is, and until then it may not send much."""
        self._parser.limit(limits_of_the_unnamed(self._clients.limits))
        self.flow.one_at_a_time(True)  # what stands behind an AUTH is not for these limits
        self._clients.unnamed.add(self)

    def welcome(self) -> None:
        """The client has said who it is."""
        self._parser.limit(self._clients.limits)
        self.flow.one_at_a_time(False)
        self._clients.unnamed.remove(self.number)

    def _await(self, awaited: Awaited, behind: list[tuple[Words, int]]) -> None:
        """Interpret nothing more before the reply is there: it counts among those outstanding."""
        awaited_reply = self._hold = AwaitedReply(behind)
        self.flow.hold()
        self.flow.passed_on(1, 0)
        awaited.begin(lambda make: self._go_on(awaited_reply, make))

    def _go_on(self, awaited: AwaitedReply, make: Callable[[], Local]) -> None:
        """The reply may be made, unless the client is gone meanwhile."""
        if self._hold is not awaited:
            return
        self._hold, self._behind = None, awaited.behind
        self.flow.let_go()
        self.flow.answered(1, 0, 0)
        self._deliver([make()], 0, 1, 0)
        if self._state in TAKES_IN:
            self.proceed()
        elif self._state in ENDS and not self.flow.outstanding:
            self._close()

    def _refuse(self, text: str) -> None:
        """The client does not speak our language, or too slowly: say so, in its place among the replies, and close."""
        self._clients.refused_input(self.peer, text)
        # Some transports can be closed in one direction, for a client that is in the middle of sending.
        self._become(ConnectionInput.REFUSE if self._can_linger else ConnectionInput.FINISH)
        self._deliver([Local(Error(text), close=True)], 0, 1, 0)

    def _deliver(self, items: list[Entry | Local], reads: int, local: int, size: int, alone: bool = False) -> None:
        count = len(items)
        self._meter.requests += count
        if local == count and not self.flow.outstanding:
            self.flow.wrote(count, self._reply(items))  # type: ignore[arg-type]  # each of them is a Local
            if self._encoder.closed:
                self._close()
            return
        self.flow.passed_on(count, size)
        self._clients.admit(Requests(self.number, items, count - reads - local, reads, size, alone))

    # --- replies out ---

    def on_replies(self, message: Replies) -> None:
        """The gateway has answered the oldest requests outstanding: write the replies, and see what may follow."""
        self.quiet_looks = 0
        replies, flow = message.replies, self.flow
        if self._hold is not None:
            replies = self._see(self._hold, replies)
        flow.answered(len(replies), message.size, self._reply(replies))
        if self._state is OPEN:
            if not self._reading:  # A connection that is being read has nothing left to pass on.
                self.proceed()
        elif self._state is ConnectionState.HALF_CLOSED:
            self.proceed()
        elif not flow.outstanding:
            self._close()

    def _see(self, hold: Hold | AwaitedReply, replies: Sequence[Result | Local]) -> Sequence[Result | Local]:
        """Replies while the connection is held: it is let go when the session has seen the result that it needs."""
        replies = hold.see(replies)
        if hold.is_over:
            self._hold, self._behind = None, hold.behind
            self.flow.let_go()
        return replies

    def _reply(self, replies: Sequence[Result | Local]) -> int:
        """Write replies; how many bytes they are."""
        data = self._encoder.encode(replies)
        self._send(data)
        size = len(data)
        self._meter.output_bytes += size
        return size

    def push(self, notices: Sequence[Notice]) -> None:
        """Write messages for a subscriber, behind what it was answered by now."""
        if self._state not in TAKES_IN and self._state not in ENDS:
            return
        self.quiet_looks = 0
        data = self._encoder.encode_notices(notices)
        self._send(data)
        self._meter.output_bytes += len(data)
        self.flow.pushed(len(data))

    # --- the end ---

    def _become(self, happened: ConnectionInput) -> None:
        self._state = after(self._state, happened)
        if self._state not in TAKES_IN:
            self.flow.end()

    def _close(self) -> None:
        """All is answered: close when the client has read that, or does not read.

        A client in the middle of sending is listened to until it closes, or for a while: a connection that is closed
        with something unread is reset, and the error that says why would be lost.
        """
        self._become(ConnectionInput.ANSWERED)
        self._reading = False  # From now on, nothing that is balanced has a say in what the transport reads.
        self._clients.large.forget(self)
        self.transport.unregisterProducer()
        self._lingering = Lingering(self._clients.reactor, self.transport)
        if self._state is ConnectionState.LINGERING:
            close_one_way(self.transport)
            self.transport.resumeProducing()
        else:
            close(self.transport)
