"""One request to whichever of several nodes serves it, without the risk of executing it twice."""

from __future__ import annotations

from collections.abc import Iterable

from dkv.client.blocking import Endpoint, NoAnswer, NotSent, Reply, ServerError, connect

RETRIED_ELSEWHERE = frozenset(("LOADING", "TRYAGAIN", "CLUSTERDOWN"))
"""Errors by which a node says that it did not apply the request and that it may be sent again."""

CONNECT_SECONDS_MAX = 3.0


class Unreachable(Exception):
    """No endpoint answered, and the request was not executed or changes nothing. The text has each one's reason."""


def ask(endpoints: Iterable[Endpoint], arguments: tuple[bytes, ...], *, writes: bool, answer_seconds: float) -> Reply:
    """The answer of the first of ``endpoints``, in their order, that executes the request.

    The next one is tried while nothing was sent, and after an answer that it was not applied and may be retried. A
    request that ``writes`` and got no answer ends it with ``NoAnswer``: the next node might execute it a second
    time; one that only reads goes on to the next. ``ServerError`` is a refusal, the last one if all refused;
    ``Unreachable`` if nobody answered at all.
    """
    refusal: ServerError | None = None
    reasons = []
    for endpoint in endpoints:
        try:
            with connect(endpoint, min(CONNECT_SECONDS_MAX, answer_seconds), answer_seconds) as connection:
                return connection.call(*arguments)
        except NotSent as error:
            reasons.append(str(error))
        except NoAnswer as error:
            if writes:
                raise
            reasons.append(str(error))
        except ServerError as error:
            if error.word not in RETRIED_ELSEWHERE:
                raise
            refusal = error
    if refusal is not None:
        raise refusal
    raise Unreachable("; ".join(reasons))
