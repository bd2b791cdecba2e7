"""What the clients of a run saw, as a history, and whether a linearizable store could have shown it to them."""

from __future__ import annotations

from collections.abc import Iterable

from dkv.sim.clients import Request
from dkv.sim.history import Operation
from dkv.sim.linearize import check


def history(requests: Iterable[Request]) -> list[Operation]:
    """The operations that took effect, or may have."""
    return [_operation(request) for request in requests if request.is_operation and not request.failed]


def judge(requests: Iterable[Request]) -> str | None:
    """What no linearizable store would have shown, in one sentence; None if there is nothing."""
    verdict = check(history(requests))
    if verdict.linearizable:
        return None
    if verdict.window is None:
        return f"whether the history of key {verdict.key!r} is linearizable could not be decided"
    return f"the history is not linearizable: {verdict.window.sentence}"


def _operation(request: Request) -> Operation:
    kind, key, *arguments = request.words
    result = request.reply if request.known and kind != b"put" else None
    returned = request.returned if request.known else None
    return Operation(
        request.client,
        kind.decode(),  # type: ignore[arg-type]  # the words that clients invent are kinds of operations
        key,
        tuple(arguments),
        request.called,
        returned,
        result,
    )
