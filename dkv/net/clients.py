"""The client port: all connections of clients to one node, and the limits they share."""

from __future__ import annotations

from collections.abc import Callable, Set
from itertools import count
from typing import Any, Protocol

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.tcp import Server
from twisted.python.failure import Failure

from dkv.actor import Address, Turn
from dkv.events import ClientGone, ClientReplies, ClientRequests, RepliesUnread, Requests
from dkv.net.client_connection import ClientConnection
from dkv.net.event_log import EventLog
from dkv.net.idle_clients import IdleClients
from dkv.net.large_requests import LargeRequests
from dkv.net.meter import Meter
from dkv.net.sending import SenderOf, by_write
from dkv.records import Entry
from dkv.replies import Error, Local
from dkv.settings import Limits
from dkv.wire.reply_encoder import ReplyEncoder

FULL = Error("ERR max number of clients reached")
STOPPING = Error("TRYAGAIN this node is shutting down")

REFUSED_BYTES = 4096
"""So much of what a refused client says is read, and ignored."""

UNREAD_SECONDS = 2.0
"""How long too many replies may wait for their clients: well below the request timeout, as others wait meanwhile."""

CUT_SECONDS = 0.1
"""Between two clients that are cut off: a closed connection's memory is free a moment later."""

LOG_SECONDS = 1.0
"""Complaints of one kind are logged no more often."""


class Interpreter(Protocol):
    """Knows what the requests of one connection mean."""

    @property
    def reads(self) -> Set[int]:
        """The first fields of entries that only read."""

    @property
    def interpret(self) -> Callable[[list[bytes]], Entry | Local]:
        """An entry for the log, or the reply to a request that needs none; perhaps another one after each ``Local``."""


class Clients(Factory):
    """Accepts clients, and is the actor to which the gateway sends their replies.

    ``deliver`` takes what goes to the gateway; it must not answer before it returns. ``wake`` says that there is
    something to ``collect``. ``new_interpreter`` is given a connection's number and its peer's address. A client that
    was idle for ``idle_seconds_max`` is closed, unless that is 0.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        limits: Limits,
        connections_max: int,
        deliver: Callable[[ClientRequests | ClientGone | RepliesUnread], None],
        wake: Callable[[], None],
        new_interpreter: Callable[[int, str], Interpreter],
        log: EventLog,
        idle_seconds_max: float = 0.0,
        sender_of: SenderOf = by_write,
    ) -> None:
        self.reactor = reactor
        self.limits = limits
        self.sender_of = sender_of
        self._deliver = deliver
        self._wake = wake
        self._arrived: list[Requests] = []
        self.large = LargeRequests(reactor, limits)
        self.meter = Meter(reactor, lambda: bool(self._connections))
        self.paused = False
        """Whether no connection may read: too much is in flight, or the host says so."""
        self.connections_refused = 0
        """How many connections were beyond the cap so far."""
        self.inputs_refused = 0
        """How often what a client sent was no request so far."""
        self.connections_max = connections_max
        """How many clients may be connected at once."""
        self._new_interpreter = new_interpreter
        self._log = log
        self._numbers = count(1)
        self._connections: dict[int, ClientConnection] = {}
        self._idle = IdleClients(reactor, idle_seconds_max, self._connections.values)
        self._inflight = 0
        self._choked = False
        self._held = False
        self._unread = 0
        self._unread_full = False
        self._cutting: Any = None  # the call that looks whether clients have read since
        self._drained: Deferred[None] | None = None
        self._deadline: Any = None
        self._complaints: dict[str, _Complaints] = {}

    # --- connections ---

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    @property
    def inflight_bytes(self) -> int:
        """What requests that are not answered yet took on the wire."""
        return self._inflight

    def buildProtocol(self, addr: Any) -> TwistedProtocol:
        """A connection, or a polite refusal."""
        peer = _text(addr)
        if self._drained is not None:
            return _Refusal(STOPPING)
        if len(self._connections) >= self.connections_max:
            self.connections_refused += 1
            self._complain("connections_refused", peer=peer, connections_max=self.connections_max)
            return _Refusal(FULL)
        number = next(self._numbers)
        return ClientConnection(self, number, peer, self._new_interpreter(number, peer))

    def add(self, connection: ClientConnection) -> None:
        """A connection is made."""
        self._connections[connection.number] = connection
        self.meter.connections += 1
        self.meter.start()
        self._idle.start()
        if self.paused:
            connection.balance()

    def remove(self, connection: ClientConnection, unanswered: bool, inflight: int) -> None:
        """A connection is lost, perhaps with requests unanswered, of ``inflight`` bytes."""
        if unanswered:
            self.collect()
            self._deliver(ClientGone(connection.number))
        if self._connections.pop(connection.number, None) is None:
            return
        self.large.forget(connection)
        self._release(inflight)
        if not self._connections:
            self._idle.stop()
            if self._drained is not None:
                self._end_drain()

    def refused_input(self, peer: str, reason: str) -> None:
        """A client sent what is no request."""
        self.inputs_refused += 1
        self._complain("input_refused", peer=peer, reason=reason)

    def _complain(self, event: str, **fields: Any) -> None:
        complaints = self._complaints.setdefault(event, _Complaints())
        number = complaints.count(self.reactor.seconds())
        if number:
            self._log.warning(event, **fields, count=number)

    # --- the actor ---

    def start(self, turn: Turn) -> None:
        """Nothing to load: connections do not outlive the process."""

    def receive(self, turn: Turn, sender: Address, message: ClientReplies) -> None:
        """Hand replies to their connections, if they are still there."""
        connections = self._connections
        for replies in message.replies:
            connection = connections.get(replies.connection)
            if connection is not None:
                connection.on_replies(replies)
                self._release(replies.size)

    def admit(self, requests: Requests) -> None:
        """Requests have arrived for the gateway."""
        if not self._arrived:
            self._wake()
        self._arrived.append(requests)
        self._charge(requests.size)

    def collect(self) -> None:
        """Deliver what has arrived since the last time."""
        if self._arrived:
            arrived, self._arrived = self._arrived, []
            self._deliver(ClientRequests(arrived))

    # --- what may be read ---

    def _charge(self, size: int) -> None:
        self._inflight += size
        if not self._choked and self._inflight > self.limits.node_inflight_bytes_max:
            self._choked = True
            self._balance()

    def _release(self, size: int) -> None:
        self._inflight -= size
        if self._choked and self._inflight <= self.limits.node_inflight_bytes_max // 2:
            self._choked = False
            self._balance()

    def unread(self, size: int) -> None:
        """Replies of ``size`` bytes wait for their client to read them; below 0: they do no more.

        Beyond a limit no reads are evaluated, for anybody; so who keeps it there for long is cut off.
        """
        self._unread += size
        limit = self.limits.node_replies_bytes_max
        full = self._unread > (limit // 2 if self._unread_full else limit)
        if full != self._unread_full:
            self._unread_full = full
            self._deliver(RepliesUnread(full))
            if full and self._cutting is None:
                self._cutting = self.reactor.callLater(UNREAD_SECONDS, self._cut_off)

    def _cut_off(self) -> None:
        """Replies still fill the memory: end the connection that has most of them, and look again soon."""
        self._cutting = None
        if self._unread_full:
            worst = max(self._connections.values(), key=lambda connection: connection.unread_bytes)
            self._complain("client_cut_off", peer=worst.peer, unread_bytes=worst.unread_bytes)
            worst.transport.abortConnection()
            self._cutting = self.reactor.callLater(CUT_SECONDS, self._cut_off)

    def pause_reading(self) -> None:
        """Take in nothing more for now."""
        self._held = True
        self._balance()

    def resume_reading(self) -> None:
        """Go on reading."""
        self._held = False
        self._balance()

    def _balance(self) -> None:
        """Stop or resume all connections; one that gets to go on is the last to do so the next time."""
        was_paused, self.paused = self.paused, self._choked or self._held
        if self.paused and not was_paused:
            for connection in list(self._connections.values()):
                connection.balance()
        elif was_paused and not self.paused:
            for number, connection in list(self._connections.items()):
                if self._choked or self._held:
                    break
                self._connections[number] = self._connections.pop(number)
                connection.proceed()

    # --- the end ---

    def drain(self, seconds: float) -> Deferred[None]:
        """Take in no more requests; fires when all connections are closed, their requests answered.

        Whoever is still there after ``seconds`` is cut off.
        """
        self._drained = Deferred()
        drained = self._drained
        self._deadline = self.reactor.callLater(seconds, self._end_drain)
        for connection in list(self._connections.values()):
            connection.finish()
        if not self._connections:
            self._end_drain()
        return drained

    def _end_drain(self) -> None:
        if self._cutting is not None and self._cutting.active():
            self._cutting.cancel()
        if self._deadline.active():
            self._deadline.cancel()
        self.meter.stop()
        for connection in list(self._connections.values()):
            connection.transport.abortConnection()
        drained = self._drained
        if drained is not None and not drained.called:
            drained.callback(None)


class _Refusal(TwistedProtocol):
    """A connection that gets one error and is closed."""

    transport: Any

    def __init__(self, error: Error) -> None:
        self._error = error

    def connectionMade(self) -> None:
        """Refuse; over plain TCP in this very moment.

        In a storm the reactor accepts hundreds of connections before it closes the first, and their descriptors
        would be those that LevelDB needs. What the client has said already, a HELLO mostly, is read first: closing
        with something unread resets the connection, and the error would be lost.
        """
        data = ReplyEncoder().encode([self._error])
        if not isinstance(self.transport, Server):
            self.transport.write(data)
            self.transport.loseConnection()
            return
        socket = self.transport.getHandle()
        try:
            socket.send(data)
            socket.recv(REFUSED_BYTES)
        except OSError:
            pass  # it has said nothing yet, or is gone
        self.transport.connectionLost(Failure(ConnectionDone()))  # type: ignore[no-untyped-call]  # Twisted's


class _Complaints:
    """Counts complaints of one kind between the times they are logged."""

    def __init__(self) -> None:
        self._since_logged = 0
        self._logged_at: float | None = None

    def count(self, now: float) -> int:
        """Count one more; how many there were since the last line if it is time for one, else 0."""
        self._since_logged += 1
        if self._logged_at is not None and now - self._logged_at < LOG_SECONDS:
            return 0
        number, self._since_logged, self._logged_at = self._since_logged, 0, now
        return number


def _text(address: Any) -> str:
    """A peer's address as people write it."""
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    return str(address)
