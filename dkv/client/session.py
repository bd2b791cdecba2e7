"""A connection to one of several nodes that serves; when it is lost, another one is made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from dkv.client.blocking import Connection, Endpoint, NotSent, Reply, ServerError, connect
from dkv.client.outcome import FULL, Unreachable
from dkv.client.race import CONNECT_SECONDS_MAX, Attempt, Race
from dkv.client.silence import Silence

ABORTED = "EXECABORT the connection was lost on which the transaction was begun; this was not executed"
"""A request between MULTI and EXEC is not executed alone on another node: the user meant all of them or none."""

TRANSACTION_ENDS = (b"EXEC", b"DISCARD", b"RESET")


class Session:
    """Requests one after another, over one connection for as long as it lasts.

    The ``endpoints`` that ``silence`` knows come last.
    """

    def __init__(self, endpoints: Sequence[Endpoint], answer_seconds: float, silence: Silence | None = None) -> None:
        self._silence = silence or Silence()
        self._endpoints = self._silence.last(endpoints)
        self._answer_seconds = answer_seconds
        self._connection: Connection | None = None
        self._in_transaction = False

    @property
    def endpoint(self) -> Endpoint | None:
        """Where the session is connected to; None if it is not."""
        return self._connection.endpoint if self._connection else None

    def close(self) -> None:
        """Hang up. The next call connects to the next endpoint."""
        if self._connection is not None:
            self._turn_behind(self._connection.endpoint)
            self._connection.close()
            self._connection = None

    def connect(self) -> None:
        """Connect to the next endpoint that accepts a connection; ``Unreachable`` if none does."""
        reasons = []
        for endpoint in self._endpoints:
            try:
                seconds = min(CONNECT_SECONDS_MAX, self._answer_seconds)
                self._connection = connect(endpoint, seconds, self._answer_seconds)
                return
            except NotSent as error:
                reasons.append(str(error))
        raise Unreachable("; ".join(reasons))

    def call(self, *words: bytes) -> Reply:
        """The answer to one request, from any node.

        A request that was not sent in full goes to the next endpoint. So does one that may be repeated and has no
        answer after a moment. Each endpoint is tried once; the one whose connection was lost is tried once more.

        An error that a node answers is raised as ``ServerError``, and the next node is not asked. ``conclude`` says
        what the exceptions mean: for a write, an attempt without an answer rules ``ServerError`` out.
        """
        if self._connection is not None and self._connection.lost():
            self.close()  # before the request is on its way, while nothing is uncertain
        begun = self._note_transaction(words[0].upper())
        if begun and self._connection is None:
            raise ServerError(ABORTED)
        attempts = []
        if self._connection is not None:
            self._turn_behind(self._connection.endpoint)
            attempts = [Attempt(self._connection.endpoint, self._answer_seconds, self._connection)]
            self._connection = None
        if not begun:
            attempts += [Attempt(endpoint, self._answer_seconds) for endpoint in self._endpoints]
        race = Race(words, final=_is_answer)
        try:
            return race.run(attempts)
        finally:
            if race.answered is not None:
                self._connection = race.answered.connection
                self._silence.note(race.silent, race.answered.endpoint)
            last = race.answered or race.last
            if last is not None:
                self._turn_behind(last.endpoint)

    def _note_transaction(self, name: bytes) -> bool:
        """Whether a request belongs to a transaction that an earlier request began on its connection."""
        begun = self._in_transaction
        self._in_transaction = name == b"MULTI" or (begun and name not in TRANSACTION_ENDS)
        return begun

    def _turn_behind(self, endpoint: Endpoint) -> None:
        """Turn the list: the endpoints behind ``endpoint`` come next, and ``endpoint`` comes last."""
        place = self._endpoints.index(endpoint) + 1
        self._endpoints = self._endpoints[place:] + self._endpoints[:place]


def _is_answer(error: ServerError) -> bool:
    return not error.text.startswith(FULL)
