"""The errands of a Twisted program, over a connection that is replaced when it is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime
from twisted.python.failure import Failure

from dkv.client.addresses import MEMBERS_REQUEST, named
from dkv.client.answers import Reply
from dkv.client.blocking import Endpoint, NoAnswer, NotSent, ServerError
from dkv.client.errand import Errand
from dkv.client.errands import Errands
from dkv.client.failures import DkvError
from dkv.client.itinerary import Itinerary, login_seconds
from dkv.client.line_protocol import LineProtocol
from dkv.client.tcp import SLOW
from dkv.client.tokens import Tokens

Dial = Callable[[Endpoint], Deferred[IProtocol]]
"""Connects a ``LineProtocol`` to an endpoint. It may be cancelled."""


class TwistedLine:
    """Errands, and the connection that it has at the moment. It connects when there is something to send."""

    def __init__(self, clock: IReactorTime, dial: Dial, endpoints: Iterable[Endpoint], database: int) -> None:
        self.tokens = Tokens()
        self._clock = clock
        self._dial = dial
        self._itinerary = Itinerary(endpoints)
        self._access = self._itinerary.endpoints[0].access
        self._errands = Errands(self.tokens)
        self._database = database
        self._connection: LineProtocol | None = None
        self._was_at: Endpoint | None = None
        self._pause: IDelayedCall | None = None
        self._dialling: Deferred[LineProtocol] | None = None
        self._timer: IDelayedCall | None = None
        self._heard_at = 0.0
        self._works = False
        self._closed = False

    # --- errands ---

    def add(self, errand: Errand) -> None:
        """Another errand, behind all others."""
        self._errands.add(errand)
        with self._working():
            pass

    def cancel(self, errand: Errand) -> None:
        """Nobody waits for this errand any more. If it was not sent, it never is."""
        if not self._errands.remove(errand):
            errand.cancelled = True

    def leave(self, ending: NotSent) -> None:
        """Hang up. The next errand has a new connection."""
        with self._working():
            self._leave(ending)

    def close(self) -> Deferred[None]:
        """Hang up; all errands end in failure. Fires when the connection has ended."""
        self._closed = True
        for call in (self._pause, self._timer):
            if call is not None:
                call.cancel()
        self._pause = self._timer = None
        if self._dialling is not None:
            self._dialling.cancel()
        gone = self._hang_up()
        self._errands.end(NoAnswer("this client was closed"))
        return gone

    # --- what is due ---

    @contextmanager
    def _working(self) -> Iterator[None]:
        """What is due is done at the end. Callers who get results may add errands meanwhile, which are sent too."""
        if self._works or self._closed:
            yield
            return
        self._works = True
        try:
            yield
            self._errands.expire(self._clock.seconds())
            self._send()
        finally:
            self._works = False
        if self._errands.busy and self._connection is None and self._dialling is None and self._pause is None:
            endpoint, pause = self._itinerary.next()
            self._pause = self._clock.callLater(pause, self._connect, endpoint)
        self._plan_timer()

    def _send(self) -> None:
        if self._connection is None:
            return
        if not self._errands.in_flight:
            self._heard_at = self._clock.seconds()
        if due := self._errands.to_send():
            self._connection.send(due)

    def _plan_timer(self) -> None:
        due = self._errands.deadline
        if due is None or self._closed:
            return
        if self._errands.in_flight:
            due = min(due, self._heard_at + self._itinerary.patience)
        if self._timer is not None:
            if self._timer.getTime() <= due:
                return  # it finds out then how much time is left
            self._timer.cancel()
        self._timer = self._clock.callLater(max(0.0, due - self._clock.seconds()), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        with self._working():
            now, deadline, patience = self._clock.seconds(), self._errands.deadline, self._itinerary.patience
            if self._errands.in_flight and deadline is not None:
                if now >= self._heard_at + patience:
                    self._itinerary.was_silent()
                    self._leave(NoAnswer(f"no answer from {self._errands.endpoint} within {patience:g} s"))
                elif now >= deadline:
                    self._leave(NoAnswer(f"no answer from {self._errands.endpoint} in time"))

    # --- connections ---

    def _connect(self, endpoint: Endpoint) -> None:
        self._pause = None
        opened: Deferred[IProtocol] = self._dial(endpoint)
        self._dialling = opened.addCallback(self._enter, endpoint).addTimeout(login_seconds(endpoint), self._clock)
        self._dialling.addCallbacks(self._on_connected, self._on_not_connected, (endpoint,), {}, (endpoint,), {})

    def _enter(self, protocol: IProtocol, endpoint: Endpoint) -> Deferred[LineProtocol]:
        assert isinstance(protocol, LineProtocol)
        return protocol.enter(endpoint, self._database)

    def _on_connected(self, connection: LineProtocol, endpoint: Endpoint) -> None:
        self._dialling = None
        with self._working():
            self._connection = connection
            connection.owner = self
            self._errands.connected(endpoint)
            deadline, now = self._errands.deadline, self._clock.seconds()
            if deadline is not None and self._itinerary.is_to_learn(now, moved=endpoint != self._was_at):
                self._errands.add_first(Errand([MEMBERS_REQUEST], deadline, self._learn, bound=True, counts=False))
            self._was_at = endpoint

    def _on_not_connected(self, failure: Failure, endpoint: Endpoint) -> None:
        self._dialling = None
        with self._working():
            error = failure.value
            if not isinstance(error, ServerError):
                why = SLOW if isinstance(error, TimeoutError) else failure.getErrorMessage()
                error = NotSent(f"cannot connect to {endpoint}: {why}")
            self._errands.not_connected(error)

    def on_replies(self, replies: list[Reply], problem: NotSent | NoAnswer | None) -> None:
        """The connection has brought these."""
        with self._working():
            self._heard_at = self._clock.seconds()
            for reply in replies:
                if not self._errands.in_flight:
                    problem = problem or NoAnswer("it spoke unasked")
                    break
                self._errands.answered(reply)
                if self._errands.trusted:
                    self._itinerary.served()
            if problem is not None:
                self._leave(type(problem)(f"{self._errands.endpoint}: {problem}"))
            elif self._errands.leaves and not self._errands.in_flight:
                self._leave(NotSent(f"{self._errands.endpoint} does not serve"))

    def on_lost(self, reason: str) -> None:
        """The connection has ended."""
        with self._working():
            self._leave(NoAnswer(f"no answer from {self._errands.endpoint}: {reason}"))

    def _leave(self, ending: NotSent | NoAnswer) -> None:
        self._hang_up()
        self._errands.lost(ending)

    def _hang_up(self) -> Deferred[None]:
        if self._connection is None:
            return succeed(None)
        connection, self._connection = self._connection, None
        return connection.hang_up()

    def _learn(self, reply: Reply | DkvError) -> None:
        if not isinstance(reply, DkvError) and (told := named(reply, ("voter",), self._access)):
            self._itinerary.learn(told)
