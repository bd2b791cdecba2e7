"""The errands of one thread at a time, over a connection that is replaced when it is lost."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from time import monotonic, sleep
from typing import Any

from dkv.client.addresses import MEMBERS_REQUEST, named
from dkv.client.answers import Reply
from dkv.client.blocking import Connection, Endpoint, NoAnswer, NotSent, ServerError, connect
from dkv.client.errand import Errand
from dkv.client.errands import Errands
from dkv.client.failures import DkvError
from dkv.client.itinerary import CONNECT_SECONDS, Itinerary, login_seconds
from dkv.client.tokens import Tokens
from dkv.client.transact import Leg


class BlockingLine:
    """Errands, and the connection that it has at the moment."""

    def __init__(self, endpoints: Iterable[Endpoint], database: int) -> None:
        self.tokens = Tokens()
        self._itinerary = Itinerary(endpoints)
        self._access = self._itinerary.endpoints[0].access
        self._errands = Errands(self.tokens)
        self._database = database
        self._connection: Connection | None = None
        self._was_at: Endpoint | None = None

    def close(self) -> None:
        """Hang up. Nothing is under way."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def run(self, errands: Iterable[Errand]) -> None:
        """Work until all are settled, by their deadlines at the latest."""
        try:
            for errand in errands:
                self._errands.add(errand)
            while self._errands.busy:
                self._step()
        except BaseException:  # such as a Ctrl-C: what is under way belongs to nobody
            self.close()
            self._errands = Errands(self.tokens)
            raise

    def run_legs(self, legs: Generator[Leg, Reply | DkvError, list[Any]], deadline: float) -> list[Any]:
        """Work through a transaction."""
        try:
            leg = next(legs)
            while True:
                outcomes: list[Reply | DkvError] = []
                self.run([leg.errand(deadline, outcomes.append)])
                leg = legs.send(outcomes[0])
        except StopIteration as end:
            results: list[Any] = end.value
            return results
        except BaseException:
            self._leave(NotSent("keys may still be watched here"))
            raise

    def _step(self) -> None:
        """Connect, or send what is due and read one answer."""
        now = monotonic()
        self._errands.expire(now)
        deadline = self._errands.deadline
        if deadline is None:
            return
        connection = self._connection or self._connect(now, deadline)
        if connection is None:
            return
        if not self._errands.in_flight and connection.lost():
            self._leave(NotSent(f"{connection.endpoint} hung up, or spoke unasked"))  # while nothing is uncertain
            return
        due = self._errands.to_send()
        patience = self._itinerary.patience
        try:
            if due:
                connection.post(due)
            reply = connection.answer(min(patience, max(0.0, deadline - now)))
        except NotSent as error:
            self._leave(error)
            return
        except NoAnswer as error:
            if monotonic() - now >= patience:
                self._itinerary.was_silent()
            self._leave(error)
            return
        self._errands.answered(reply)
        if self._errands.trusted:
            self._itinerary.served()
        if self._errands.leaves and not self._errands.in_flight:
            self._leave(NotSent(f"{connection.endpoint} does not serve"))

    def _connect(self, now: float, deadline: float) -> Connection | None:
        """A connection to the next node, if that takes one."""
        endpoint, pause = self._itinerary.next()
        sleep(max(0.0, min(pause, deadline - now)))
        left = max(0.001, deadline - monotonic())
        seconds = min(CONNECT_SECONDS, left)
        try:
            connection = connect(endpoint, seconds, min(login_seconds(endpoint), left))
            self._select(connection)
        except (NotSent, ServerError) as error:
            self._errands.not_connected(error)
            return None
        self._connection = connection
        self._errands.connected(endpoint)
        if self._itinerary.is_to_learn(now, moved=endpoint != self._was_at):
            self._errands.add_first(Errand([MEMBERS_REQUEST], deadline, self._learn, bound=True, counts=False))
        self._was_at = endpoint
        return connection

    def _select(self, connection: Connection) -> None:
        if not self._database:
            return
        try:
            connection.select(self._database)
        except (NotSent, ServerError):
            connection.close()
            raise

    def _leave(self, ending: NotSent | NoAnswer) -> None:
        self.close()
        self._errands.lost(ending)

    def _learn(self, reply: Reply | DkvError) -> None:
        if not isinstance(reply, DkvError) and (told := named(reply, ("voter",), self._access)):
            self._itinerary.learn(told)
