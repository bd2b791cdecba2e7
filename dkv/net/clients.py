"""The client port: all connections of clients to one node, and the limits they share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol

from dkv.actor import Address, Turn
from dkv.client_events import (
    ClientGone,
    ClientReplies,
    ClientRequests,
    CountsElsewhere,
    Deliver,
    Posted,
    RepliesUnread,
    Requests,
)
from dkv.net.client_connection import ClientConnection
from dkv.net.deliveries import Deliveries
from dkv.net.event_log import EventLog
from dkv.net.idle_clients import IdleClients
from dkv.net.interpreter import Interpreter
from dkv.net.large_requests import LargeRequests
from dkv.net.meter import Meter
from dkv.net.refusal import Refusal
from dkv.net.sending import SenderOf, by_write
from dkv.net.sockets import address_text
from dkv.net.throttled_log import ThrottledLog
from dkv.net.unnamed_clients import UnnamedClients
from dkv.net.unread_replies import UnreadReplies
from dkv.pubsub.exchange import Exchange
from dkv.replies import Error
from dkv.settings import Limits

FULL = Error("ERR max number of clients reached")
STOPPING = Error("TRYAGAIN this node is shutting down")


ToGateway = ClientRequests | ClientGone | RepliesUnread


class Clients(Factory):
    """Accepts clients, and is the actor to which the gateway sends their replies, and the relay their messages.

    ``deliver`` takes what goes to these two; it must not answer before it returns. ``wake`` says that there is
    something to ``collect``. ``new_interpreter`` is given a connection's number and its peer's address. A client that
    was idle for ``idle_seconds_max`` is closed, unless that is 0.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        limits: Limits,
        connections_max: int,
        deliver: Callable[[ToGateway | Posted], None],
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
        self._connections: dict[int, ClientConnection] = {}
        self.large = LargeRequests(reactor, limits)
        self.log = log
        self.complaints = ThrottledLog(reactor, log)
        self.unread_replies = UnreadReplies(
            reactor,
            limits.node_replies_bytes_max,
            lambda full: self._deliver(RepliesUnread(full)),
            lambda: self._connections.values(),
        )
        self.deliveries = Deliveries(Exchange(limits, wake), limits, self._connections, deliver, wake, self.complaints)
        """What clients have subscribed to, and what they get for it."""
        self._waiting: dict[int, ClientConnection] = {}  # for others to have their turn
        self.meter = Meter(reactor, lambda: bool(self._connections))
        self.paused = False
        """Whether no connection may read: too much is in flight, or the host says so."""
        self.connections_refused = 0
        """How many connections were beyond the cap so far."""
        self.inputs_refused = 0
        """How often what a client sent was no request so far."""
        self.connections_max = connections_max
        """How many clients may be connected at once."""
        self.unnamed = UnnamedClients(reactor, connections_max, self.complaints)
        """The clients that still have to say who they are."""
        self._new_interpreter = new_interpreter
        self._numbers = count(1)
        self._idle = IdleClients(reactor, idle_seconds_max, self._connections.values)
        self._inflight = 0
        self._choked = False
        self._held = False
        self._drained: Deferred[None] | None = None
        self._deadline: Any = None

    # --- connections ---

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    @property
    def refused(self) -> dict[str, int]:
        """How many were refused so far, by the reason: CONNECTIONS beyond the cap, INPUT that was no request, UNNAMED
        clients that did not say who they are in time."""
        return {"CONNECTIONS": self.connections_refused, "INPUT": self.inputs_refused, "UNNAMED": self.unnamed.ended}

    def connected(self) -> list[ClientConnection]:
        """The connections of all clients, in the order in which they came."""
        return sorted(self._connections.values(), key=lambda connection: connection.number)

    def connection(self, number: int) -> ClientConnection | None:
        """The connection with this number, if it is still there."""
        return self._connections.get(number)

    def local_address(self, number: int) -> str:
        """The address of this node that a client has connected to; "" if it is gone."""
        connection = self._connections.get(number)
        return "" if connection is None else connection.local

    @property
    def inflight_bytes(self) -> int:
        """The bytes on the wire of all requests that are not answered yet."""
        return self._inflight

    def buildProtocol(self, addr: Any) -> TwistedProtocol:
        """A client connects: a connection, or a polite refusal."""
        peer = address_text(addr)
        if self._drained is not None:
            return Refusal(STOPPING)
        if len(self._connections) >= self.connections_max:
            self.connections_refused += 1
            self.complaints.warning("connections_refused", peer=peer, connections_max=self.connections_max)
            return Refusal(FULL)
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
            self.collect()  # The gateway must hear of the requests before it hears that their client is gone.
            self._deliver(ClientGone(connection.number))
        if self._connections.pop(connection.number, None) is None:
            return
        self._waiting.pop(connection.number, None)
        self.unnamed.remove(connection.number)
        self.large.forget(connection)
        self._release(inflight)
        if not self._connections:
            self._idle.stop()
            if self._drained is not None:
                self._cut_off()

    def requests_at_once(self, connection: ClientConnection) -> int:
        """How many requests of a connection to pass on now. Not any: its turn comes when others have had theirs."""
        deliveries = self.deliveries
        if deliveries.exchange.work <= deliveries.work_max:
            return deliveries.requests_at_once
        self._waiting[connection.number] = connection
        self._wake()
        return 0

    def refused_input(self, peer: str, reason: str) -> None:
        """A client sent what is no request."""
        self.inputs_refused += 1
        self.complaints.warning("input_refused", peer=peer, reason=reason)

    # --- the actor ---

    def start(self, turn: Turn) -> None:
        """Nothing to load: connections do not outlive the process."""

    def receive(self, turn: Turn, sender: Address, message: ClientReplies | Deliver | CountsElsewhere) -> None:
        """The gateway has answered: hand the replies to their connections, if they are still there."""
        if not isinstance(message, ClientReplies):
            self.deliveries.take_in(message)
            return
        connections = self._connections
        for replies in message.replies:
            connection = connections.get(replies.connection)
            if connection is not None:
                connection.on_replies(replies)
                self._release(replies.size)

    def admit(self, requests: Requests) -> None:
        """Requests have arrived for the gateway. It gets them with all that arrive in this turn of the reactor."""
        if not self._arrived:
            self._wake()
        self._arrived.append(requests)
        self._charge(requests.size)

    def collect(self) -> None:
        """Deliver to the gateway what has arrived since the last time."""
        if self._arrived:
            arrived, self._arrived = self._arrived, []
            self._deliver(ClientRequests(arrived))
        self.deliveries.collect()
        if self._waiting:
            self._let_wait_no_longer()

    def _let_wait_no_longer(self) -> None:
        """Let connections go on that have waited for this turn; whoever has to wait again stands behind the others."""
        waiting, self._waiting = self._waiting, {}
        for number in list(waiting):
            if self.deliveries.is_busy:
                break
            waiting.pop(number).proceed()
        self._waiting = {**waiting, **self._waiting}
        if self._waiting:
            self._wake()

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

    def pause_reading(self) -> None:
        """Take in nothing more for now."""
        self._held = True
        self._balance()

    def resume_reading(self) -> None:
        """Go on reading."""
        self._held = False
        self._balance()

    def _balance(self) -> None:
        """Stop or resume all connections. One that gets to go on is the last to do so the next time."""
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
        """Take in no more requests. Fires when all requests are answered and all connections are closed.

        A client that is still there after ``seconds`` is cut off.
        """
        if self._drained is None:
            self._drained = Deferred()
            self._deadline = self.reactor.callLater(seconds, self._cut_off)
            for connection in list(self._connections.values()):
                connection.finish()
            if not self._connections:
                self._cut_off()
        return self._drained

    def abort(self) -> Deferred[None]:
        """Cut off all clients now, in the middle of what they are being told. Fires when their connections are gone."""
        if self._drained is None:
            self._drained = Deferred()
        self._cut_off()
        return self._drained

    def _cut_off(self) -> None:
        self.unread_replies.stop()
        self.unnamed.stop()
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self.meter.stop()
        for connection in list(self._connections.values()):
            connection.transport.abortConnection()
        drained = self._drained
        if drained is not None and not drained.called and not self._connections:
            drained.callback(None)
