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

    The next one is tried unless the answer is final, so a request that ``writes`` must carry a token: it may be sent
    more than once. ``NoAnswer``, or ``ServerError`` with the word UNCERTAIN, if a write may have been executed and
    nobody could tell; another ``ServerError`` is a refusal, the last one if all refused; ``Unreachable`` if nobody
    answered at all.
    """
    refusal: ServerError | None = None
    unknown: NoAnswer | ServerError | None = None  # what says that a write may have been executed
    reasons = []
    for endpoint in endpoints:
        try:
            with connect(endpoint, min(CONNECT_SECONDS_MAX, answer_seconds), answer_seconds) as connection:
                return connection.call(*arguments)
        except NotSent as error:
            reasons.append(str(error))
        except NoAnswer as error:
            reasons.append(str(error))
            unknown = error if writes else unknown
        except ServerError as error:
            if error.word == "UNCERTAIN":
                unknown = error
            elif error.word in RETRIED_ELSEWHERE:
                refusal = error
            else:
                raise unknown if unknown is not None and error.word == "IDMPOLD" else error from None
    if unknown is not None:
        raise unknown
    if refusal is not None:
        raise refusal
    raise Unreachable("; ".join(reasons))
