"""A line on stderr that says what a command waits for, if its answer takes longer than a second."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from dkv.cli.node_status import STATUS_REQUEST, status_fields
from dkv.cli.output import complain
from dkv.client.blocking import Endpoint
from dkv.client.outcome import TURNED_AWAY
from dkv.client.survey import Answer, ask_all

PATIENCE_SECONDS = 1.0
"""A healthy cluster answers sooner, also during most elections."""

LOOK_SECONDS = 1.0
"""How long each node has to say how it is. One that takes longer hangs."""


class Waiting:
    """Entered while a command waits. ``reason`` says what for; it may take its time, as it runs on a thread.

    The line comes once, and never behind the end of the wait: what follows speaks for itself.
    """

    def __init__(self, reason: Callable[[], str]) -> None:
        self._reason = reason
        self._lock = threading.Lock()
        self._over = False
        self._timer = threading.Timer(PATIENCE_SECONDS, self._say)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._timer.cancel()
        with self._lock:
            self._over = True

    def _say(self) -> None:
        reason = self._reason()
        with self._lock:
            if not self._over:
                complain(f"waiting: {reason}")


def for_answer(endpoints: Sequence[Endpoint]) -> Waiting:
    """The wait for an answer of one of ``endpoints``: each of them says how it is."""
    return Waiting(lambda: "; ".join(_words(own[0]) for own in ask_all(endpoints, [STATUS_REQUEST], LOOK_SECONDS)))


def _words(answer: Answer) -> str:
    """What keeps a node from answering, in its own words if it has any."""
    fields, problem = status_fields(answer)
    failing = fields.get("failing")
    if problem and problem.split(" ", 1)[0] not in TURNED_AWAY:
        return problem if str(answer.endpoint) in problem else f"{answer.endpoint}: {problem}"
    if isinstance(failing, dict) and failing:
        return f"{answer.endpoint} is not ready: {', '.join(map(str, failing.values()))}"
    return f"{answer.endpoint} has not answered yet"
