"""What the clients of a run saw, as a history, and whether a linearizable store could have shown it to them.

What a client asks of keys that it alone uses must take effect in the order in which it was sent, also where many
requests are under way at a time: there the places in that order are the times of the history.

A producer that was evicted, and whose name nobody issued, starts anew when it returns: a write that it sends again is
executed again. ``executions`` tells, from the log, how often a token was executed. Where it was more than once the
answer is one execution's, and each other one is a write of unknown outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from dkv.kv.sessions import MISMATCH
from dkv.sim.crowd import Crowd
from dkv.sim.history import Operation
from dkv.sim.linearize import check
from dkv.sim.requests import Request

Executions = Mapping[tuple[bytes, int], int]


def history(requests: Iterable[Request], executions: Executions) -> Iterator[Operation]:
    """The operations that took effect, or may have."""
    for request in requests:
        if not request.is_operation:
            continue
        operation = _operation(request)
        if not request.failed:
            yield operation
        elif request.length_seen is not None:
            yield replace(operation, kind="strlen", arguments=(), returned=_end(request), result=request.length_seen)
        if request.token is not None:
            for _ in range(1, executions.get(request.token, 0)):
                yield replace(operation, returned=None, result=None)


def judge(requests: Iterable[Request], executions: Executions) -> str | None:
    """What no linearizable store would have shown, in one sentence; None if there is nothing."""
    orders: tuple[list[Request], list[Request]] = ([], [])
    for request in requests:
        orders[request.in_own_order].append(request)
    for some, order in zip(orders, ("", ", times being places among all that its client sent"), strict=True):
        verdict = check(history(some, executions))
        if verdict.undecided:
            return f"whether the history of key {verdict.key!r} is linearizable could not be decided"
        if not verdict.linearizable:
            return f"the history is not linearizable{order}: {verdict.proof.sentence}"
    return None


def wrong_reply(crowd: Crowd, executions: Executions) -> str | None:
    """A reply that its request cannot have, or a request that was not answered in time, in one sentence."""
    for request in crowd.requests:
        if request.returned is not None and not request.is_fitting(crowd.limits):
            return f"client {request.client} asked {request.words!r} and was answered {request.reply!r}"
    uses = Counter(request.token for request in crowd.requests if request.repeats is None)
    for request in crowd.requests:
        if request.token is not None and uses[request.token] == 1 and request.returned and request.reply == MISMATCH:
            return (
                f"I10: no other write had token {request.token!r}, and {request.words!r} was answered {request.reply!r}"
            )
    for request in crowd.unlike:
        assert request.token is not None and request.repeats is not None
        if executions.get(request.token, 0) <= 1:  # else its producer was evicted meanwhile, and began anew
            token = f"client {request.client} repeated {request.words!r} with token {request.token!r}"
            return f"I10: {token} and was answered {request.reply!r}, not {request.repeats.reply!r} as at first"
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
        request.reply if request.known and kind != b"put" else None,
    )


def _end(request: Request) -> float | None:
    """What comes later begins after this."""
    return request.last_place + 0.5 if request.in_own_order else request.returned
