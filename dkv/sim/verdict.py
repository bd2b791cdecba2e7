"""The history of a run's clients, and whether a linearizable store could have given it.

Requests of a client for keys that only this client uses must take effect in the order of sending, also when many are
under way at a time: for them, the places in that order are the times of the history.

For a write with a token and no clear answer, the log tells its fate: ``executions``. It was executed once or never. If
its producer was evicted it may have been executed again and again, for a name that nobody issued starts anew.

Others may flush the database. The log tells when: ``flushes`` has the ``after`` and ``by`` of each, as in ``Done``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from dkv.kv.sessions import MISMATCH
from dkv.records import UncheckedEntry
from dkv.replies import Error, Nested, Result
from dkv.sim.crowd import Crowd
from dkv.sim.history import Operation
from dkv.sim.linearize import check
from dkv.sim.requests import Request


class Done(NamedTuple):
    """An execution of ``write``, an entry of the log, and its answer.

    It took effect after all requests answered before ``after``, when its slot was chosen, and before all requests sent
    later than ``by``, when a client could first know of it.
    """

    write: UncheckedEntry
    answer: Result
    after: float
    by: float


Executions = Mapping[tuple[bytes, int], list[Done]]
Flushes = Collection[tuple[float, float]]

FLUSHING = "flush"
"""The name of the client that flushes, in the history."""


def history(requests: Iterable[Request], executions: Executions, flushes: Flushes = ()) -> Iterator[Operation]:
    """The operations that took effect, or may have."""
    requests = list(requests)
    yield from _deletions(requests, flushes)
    for request in requests:
        if not request.is_operation:
            continue
        operation = _operation(request)
        told = request.known or request.length_seen is not None
        if request.known:
            yield operation
        elif request.length_seen is not None:
            yield replace(operation, kind="strlen", arguments=(), returned=_end(request), result=request.length_seen)
        elif request.token is None and not request.failed:
            yield operation
        for done in _others(request, executions) if told else _executions(request, executions):
            if not isinstance(done.answer, Error):
                called, returned = _times(request, requests, done.after, done.by, request.first_place)
                yield replace(operation, called=called, returned=returned, result=_told(done.answer))


def _deletions(requests: list[Request], flushes: Flushes) -> Iterator[Operation]:
    """A flush deletes every key of the database, and tells of none whether it was there."""
    users = {key: request for request in requests if request.is_operation for key in request.keys}
    for key, request in users.items():
        for after, by in flushes:
            yield Operation(FLUSHING, "delete", key, (), *_times(request, requests, after, by))


def _times(
    request: Request, requests: list[Request], chosen_at: float, by: float, first_place: int = 0
) -> tuple[float, float]:
    """The times between which something happened to the keys of a request, for its history.

    Where these are places among all that its client sent, it happened behind ``first_place``.
    """
    if not request.in_own_order:
        return chosen_at, by
    mine = [each for each in requests if each.client == request.client and each.was_sent]
    answered = [each.last_place for each in mine if each.returned is not None and each.returned < chosen_at]
    asked = [each.first_place for each in mine if each.called <= by]
    after = max([first_place, *answered]) + 0.6
    # Each of these requests may have been executed before and sent again: then it has the place of its first sending.
    return after, max([after, *(place + 0.6 for place in asked)]) + 0.1


def _executions(request: Request, executions: Executions) -> list[Done]:
    """The executions of the request in the log. Another request may have had its token by mistake."""
    done = executions.get(request.token, []) if request.token is not None else []
    return [each for each in done if request.asks_for(each.write)]


def _others(request: Request, executions: Executions) -> list[Done]:
    """The executions without the one whose answer the request got."""
    done = _executions(request, executions)
    mine = next((index for index, each in enumerate(done) if _same(each.answer, request.reply)), None)
    return [each for index, each in enumerate(done) if index != mine]


def _same(one: object, other: object) -> bool:
    return (type(one), one) == (type(other), other)


def judge(requests: Iterable[Request], executions: Executions, flushes: Flushes = ()) -> str | None:
    """A sentence about an answer that no linearizable store would give; None if there is none."""
    orders: tuple[list[Request], list[Request]] = ([], [])
    for request in requests:
        orders[request.in_own_order].append(request)
    for some, order in zip(orders, ("", ", times being places among all that its client sent"), strict=True):
        verdict = check(history(some, executions, flushes))
        if verdict.undecided:
            return f"whether the history of key {verdict.key!r} is linearizable could not be decided"
        if not verdict.linearizable:
            return f"the history is not linearizable{order}: {verdict.proof.sentence}"
    return None


def wrong_reply(crowd: Crowd, executions: Executions, evicted: Collection[bytes] = ()) -> str | None:
    """A sentence about a reply that does not fit its request, or a request not answered in time; else None.

    ``evicted`` are the producers that were forgotten: a repeat of a write of theirs may be refused.
    """
    for request in crowd.requests:
        if request.returned is not None and not request.is_fitting(crowd.limits):
            return f"client {request.client} asked {request.words!r} and was answered {request.reply!r}"
    for request in crowd.requests:
        was_done = request.repeats is not None and request.token is not None and request.token[0] not in evicted
        if was_done and isinstance(request.reply, Error) and request.reply.text.startswith("MISCONF"):
            return f"I10: {request.words!r} was executed and answered before, and its repeat {request.reply!r}"
    uses = Counter(request.token for request in crowd.requests if request.repeats is None)
    for request in crowd.requests:
        if request.token is not None and uses[request.token] == 1 and request.returned and request.reply == MISMATCH:
            return (
                f"I10: no other write had token {request.token!r}, and {request.words!r} was answered {request.reply!r}"
            )
    for request in crowd.requests:
        done = _executions(request, executions)
        if done and request.known and not any(_same(each.answer, request.reply) for each in done):
            token = f"client {request.client} asked {request.words!r} with token {request.token!r}"
            return f"I10: {token} and was answered {request.reply!r}, not {done[0].answer!r} as when it was executed"
    for request in crowd.unanswered:
        client = f"client {request.client}, which asked at {request.called:.3f}"
        return f"node {request.node} ran all the time and did not answer {client}"
    return None


def _operation(request: Request) -> Operation:
    kind, key, *arguments = request.words
    return Operation(
        request.client,
        kind.decode(),  # type: ignore[arg-type]  # the words of operations are the kinds of a history
        key,
        tuple(arguments),
        request.first_place if request.in_own_order else request.called,
        _end(request) if request.known else None,
        _told(request.reply) if request.known else None,
    )


def _told(answer: Nested) -> bytes | int | None:
    """The result for the history. The OK of a put is no result, nor is an answer that no operation can give."""
    return answer if isinstance(answer, bytes | int) else None


def _end(request: Request) -> float | None:
    """Operations that come later begin after this."""
    return request.last_place + 0.5 if request.in_own_order else request.returned
