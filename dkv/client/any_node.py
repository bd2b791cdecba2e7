"""One request to several nodes until one of them serves it, without the risk of executing it twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dkv.client.blocking import Endpoint, Reply, ServerError
from dkv.client.outcome import asks_elsewhere
from dkv.client.race import Attempt, Race
from dkv.client.silence import Silence


def ask(
    endpoints: Iterable[Endpoint],
    words: Sequence[bytes],
    answer_seconds: float,
    silence: Silence | None = None,
    database: int = 0,
) -> Reply:
    """The answer of the first of ``endpoints``, in their order, that executes the request; as ``ask_where``."""
    return ask_where(endpoints, words, answer_seconds, silence, database)[1]


def ask_where(
    endpoints: Iterable[Endpoint],
    words: Sequence[bytes],
    answer_seconds: float,
    silence: Silence | None = None,
    database: int = 0,
) -> tuple[Endpoint, Reply]:
    """The endpoint that answered, and its answer. The request is for the keys of ``database``.

    A request that reads, or carries a token, is sent to the next endpoint if there is no answer for a moment, and
    after an error if another node may execute it. Any other request is sent on only while it was certainly not
    executed. Endpoints that ``silence`` knows are asked last.

    Raises ``Unreachable``, ``NoAnswer`` or ``ServerError``, which mean here what ``conclude`` says.
    """
    silence = silence or Silence()
    race = Race(words, final=_is_final)
    try:
        reply = race.run([Attempt(endpoint, answer_seconds, database) for endpoint in silence.last(endpoints)])
    finally:
        if race.answered is not None:
            race.answered.close()
    assert race.answered is not None
    silence.note(race.silent, race.answered.endpoint)
    return race.answered.endpoint, reply


def _is_final(error: ServerError) -> bool:
    return not asks_elsewhere(error)
