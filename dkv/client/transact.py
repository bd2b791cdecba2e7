"""A transaction step by step, for both clients. It does no I/O.

With keys to watch, the values are read, the function makes the requests of them, and EXEC executes these only if the
keys are as they were. An EXEC of which nobody knows what became cannot be sent again: the keys would be watched anew,
after somebody has changed them. So its token is used up by a fence (``dkv.client.errands``). If that is executed, the
EXEC never will be, and all begins again. If it is refused, the EXEC had come to an end, and a repeat gets its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from dkv.client.answers import Reply
from dkv.client.errand import FENCE, Errand, Token
from dkv.client.failures import Contended, DkvError, Unavailable, Unknown
from dkv.client.instruction import unreadable
from dkv.client.outcome import SHORT_OF_SPACE, TAKEN
from dkv.client.recorder import Recorder, results_of
from dkv.client.tokens import Tokens

MULTI, EXEC, UNWATCH = (b"MULTI",), (b"EXEC",), (b"UNWATCH",)


@dataclass(frozen=True, slots=True)
class Leg:
    """Requests to be sent together, of which the last one's reply counts; as an ``Errand`` has them."""

    requests: tuple[tuple[bytes, ...], ...]
    token: Token | None = None
    bound: bool = False
    harmless: bool = False

    def errand(self, deadline: float, settle: Callable[[Reply | DkvError], None], pipeline: object = None) -> Errand:
        """What does it."""
        return Errand(
            self.requests,
            deadline,
            settle,
            pipeline=pipeline,
            token=self.token,
            bound=self.bound,
            harmless=self.harmless,
        )


class NotExecuted(Enum):
    """A transaction was not executed, and never will be; nobody has said that its keys had changed."""

    NOT_EXECUTED = auto()


NOT_EXECUTED = NotExecuted.NOT_EXECUTED


def transact(
    function: Callable[..., object], keys: Sequence[bytes], tokens: Tokens, *, raise_errors: bool
) -> Generator[Leg, Reply | DkvError, list[Any]]:
    """Yields what is to be sent, is sent what became of it, and returns the results.

    If it raises, keys may still be watched on the connection: that must be closed.
    """
    has_changed = False
    while True:
        values = (yield from _read(keys, has_changed=has_changed)) if keys else []
        recorder = Recorder()
        function(recorder, *values)
        if not recorder.instructions:
            if keys:
                yield Leg((UNWATCH,), bound=True)
            return []
        body = (MULTI, *(each.words for each in recorder.instructions), EXEC)
        reply = (yield from _execute_if_unchanged(body, keys, tokens)) if keys else (yield from _must(Leg(body)))
        if isinstance(reply, list):
            return results_of(recorder.instructions, reply, raise_errors=raise_errors)
        if isinstance(reply, NotExecuted):
            continue
        if reply is not None or not keys:
            raise unreadable(reply)
        has_changed = True


def _must(leg: Leg) -> Generator[Leg, Reply | DkvError, Reply]:
    """The reply, or its failure is raised."""
    outcome = yield leg
    if isinstance(outcome, DkvError):
        raise outcome
    return outcome


def _read(keys: Sequence[bytes], *, has_changed: bool) -> Generator[Leg, Reply | DkvError, list[Reply]]:
    """The values of keys that are watched from now on. When time is up, they may have changed all the time."""
    values = yield Leg(((b"WATCH", *keys), (b"MGET", *keys)), harmless=True)
    if isinstance(values, Unavailable) and has_changed:
        raise Contended("CONTENDED the watched keys were changed each time", "CONTENDED") from values
    if isinstance(values, DkvError):
        raise values
    if not isinstance(values, list):
        raise unreadable(values)
    return values


def _execute_if_unchanged(
    body: tuple[tuple[bytes, ...], ...], keys: Sequence[bytes], tokens: Tokens
) -> Generator[Leg, Reply | DkvError, Reply | NotExecuted]:
    """The reply to EXEC; ``NOT_EXECUTED`` if it reached nobody who executed it, and never will."""
    token = tokens.next()
    outcome = yield Leg(body, token, bound=True)
    if isinstance(outcome, Unknown):
        fence = yield Leg(FENCE, token, harmless=True)
        if not isinstance(fence, DkvError):
            return NOT_EXECUTED
        again = (yield Leg(((b"WATCH", *keys), *body), token)) if fence.word == TAKEN else outcome
        if isinstance(again, DkvError):
            raise outcome
        return again
    if isinstance(outcome, Unavailable) and outcome.word != SHORT_OF_SPACE:
        return NOT_EXECUTED
    if isinstance(outcome, DkvError):
        raise outcome
    return outcome
