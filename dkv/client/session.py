"""A connection to one of several nodes that serves; when it is lost, another one is made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from dkv.client.addresses import voters
from dkv.client.blocking import Connection, Endpoint, NotSent, Reply, ServerError, connect
from dkv.client.bound_state import BoundState
from dkv.client.itinerary import LEARN_SECONDS, MOVED_SECONDS
from dkv.client.outcome import FULL, REMOVED, Unreachable, turned_away
from dkv.client.race import CONNECT_SECONDS_MAX, Attempt, Race
from dkv.client.silence import Silence

ABORTED = "EXECABORT the connection with the transaction or the watched keys was lost; nothing was executed"
"""A request between MULTI and EXEC is not executed alone on another node: the user meant all of them or none. One
behind WATCH is not, either: an EXEC there would not know what is watched."""

TELL_SECONDS = 1.0
"""How long a node has for its answer to that."""


class Session:
    """Requests one after another, over one connection for as long as it lasts.

    The ``endpoints`` that ``silence`` knows come last. The session learns from the nodes that it reaches where the
    voters are now. So it goes on when all of ``endpoints`` have been replaced, one after another. It asks on a
    connection of its own, after a request was answered: the first one, the first one at another node, and one a minute.

    It is in ``database`` until a SELECT is answered, and stays in that one when it goes to another node.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        answer_seconds: float,
        silence: Silence | None = None,
        database: int = 0,
    ) -> None:
        self._silence = silence or Silence()
        self._given = tuple(endpoints)
        self._endpoints = self._silence.last(endpoints)
        self._answer_seconds = answer_seconds
        self._connection: Connection | None = None
        self._state = BoundState(database)
        self._asked_at: float | None = None
        self._answered_by: Endpoint | None = None
        self._has_moved = False

    @property
    def endpoint(self) -> Endpoint | None:
        """Where the session is connected to; None if it is not."""
        return self._connection.endpoint if self._connection else None

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where it may go, the next one first."""
        return tuple(self._endpoints)

    @property
    def database(self) -> int:
        """The database that requests are for."""
        return self._state.database

    @property
    def in_transaction(self) -> bool:
        """Whether requests wait for an EXEC."""
        return self._state.in_transaction

    def close(self) -> None:
        """Hang up. The next call connects to the next endpoint."""
        if self._connection is not None:
            self._turn_behind(self._connection.endpoint)
            self._connection.close()
            self._connection = None

    def connect(self) -> None:
        """Connect to the next endpoint that accepts a connection; ``Unreachable`` if none does, and ``ServerError`` if
        one turns this client away."""
        reasons = []
        for endpoint in self._endpoints:
            try:
                seconds = min(CONNECT_SECONDS_MAX, self._answer_seconds)
                connection = connect(endpoint, seconds, self._answer_seconds)
                if self.database:
                    connection.select(self.database)
                self._connection = connection
                return
            except ServerError as error:
                if turned_away(error):
                    raise
                reasons.append(str(error))
            except NotSent as error:
                reasons.append(str(error))
        raise Unreachable("; ".join(reasons))

    def call(self, *words: bytes) -> Reply:
        """The answer to one request, from any node.

        A request that was not sent in full goes to the next endpoint. So does one that may be repeated and has no
        answer after a moment. Each endpoint is tried once; the one whose connection was lost is tried once more.

        An error that a node answers is raised as ``ServerError``, and the next node is not asked, unless the node says
        that it has no room or was removed. If nobody is left but removed nodes, they tell who is. ``conclude`` says
        what the exceptions mean: for a write, an attempt without an answer rules ``ServerError`` out.
        """
        if self._connection is not None and self._connection.lost():
            self.close()  # before the request is on its way, while nothing is uncertain
        bound = self._state.note_request(words)
        if bound and self._connection is None:
            raise ServerError(ABORTED)
        attempts = []
        if self._connection is not None:
            self._turn_behind(self._connection.endpoint)
            attempts = [Attempt(self._connection.endpoint, self._answer_seconds, connection=self._connection)]
            self._connection = None
        if not bound:
            attempts += self._attempts(self._endpoints)
        try:
            reply = self._race(words, attempts)
        except ServerError as error:
            others = [] if bound or not error.text.startswith(REMOVED) else self._others()
            if not others:
                raise
            reply = self._race(words, self._attempts(others))
        self._state.note_reply(words, reply)
        self._keep_up()
        return reply

    def _attempts(self, endpoints: Sequence[Endpoint]) -> list[Attempt]:
        return [Attempt(endpoint, self._answer_seconds, self.database) for endpoint in endpoints]

    def _race(self, words: Sequence[bytes], attempts: Sequence[Attempt]) -> Reply:
        """The first reply; the session stays where it came from."""
        race = Race(words, final=_is_answer)
        try:
            return race.run(attempts)
        finally:
            if race.answered is not None:
                self._connection = race.answered.connection
                self._has_moved |= race.answered.endpoint != self._answered_by
                self._answered_by = race.answered.endpoint
                self._silence.note(race.silent, race.answered.endpoint)
            last = race.answered or race.last
            if last is not None:
                self._turn_behind(last.endpoint)

    # --- where the nodes are ---

    def _others(self) -> list[Endpoint]:
        """The endpoints that the session did not know before it asked those that it knows, removed nodes among them."""
        known = set(self._endpoints)
        if self._may_ask(MOVED_SECONDS):
            self._learn(self._endpoints)
        return [each for each in self._endpoints if each not in known]

    def _keep_up(self) -> None:
        """Ask the node that has just answered who the members are, if that is due."""
        if self._connection is not None and self._may_ask(MOVED_SECONDS if self._has_moved else LEARN_SECONDS):
            self._learn([self._connection.endpoint])

    def _may_ask(self, pause: float) -> bool:
        return self._asked_at is None or monotonic() - self._asked_at >= pause

    def _learn(self, whom: Sequence[Endpoint]) -> None:
        """Know the endpoints that were given and those that ``whom`` tell, in place of what was told before."""
        self._asked_at, self._has_moved = monotonic(), False
        told = voters(whom, min(self._answer_seconds, TELL_SECONDS))
        if told:
            wanted = dict.fromkeys((*self._given, *told))
            kept = [each for each in self._endpoints if each in wanted]
            self._endpoints = [*kept, *(each for each in wanted if each not in kept)]

    def _turn_behind(self, endpoint: Endpoint) -> None:
        """Turn the list: the endpoints behind ``endpoint`` come next, and ``endpoint`` comes last."""
        if endpoint in self._endpoints:  # else it was forgotten, for it is no voter any more
            place = self._endpoints.index(endpoint) + 1
            self._endpoints = self._endpoints[place:] + self._endpoints[:place]


def _is_answer(error: ServerError) -> bool:
    return not error.text.startswith((FULL, REMOVED))
