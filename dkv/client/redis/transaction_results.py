"""What redis-py's pipelines make of the replies to a transaction, and what a lost connection does to a WATCH."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from redis.exceptions import ResponseError, WatchError

from dkv.client.redis.exchanges import Exchanged, Stack

LOST = object()
"""Stands for a connection that has watched keys and is no more."""


class WatchState:
    """What a pipeline watches, and on which connection: the one that was made as ``marker``."""

    def __init__(self) -> None:
        self.requests: list[tuple[Any, ...]] = []
        self._marker: object | None = None

    def note(self, arguments: tuple[Any, ...], watching: bool, marker: object) -> None:
        """A request was answered on a connection; ``watching`` says whether keys are watched behind it."""
        if not watching:
            self.clear()
        elif arguments[0] == "WATCH":
            if not self.requests:
                self._marker = marker
            self.requests.append(arguments)

    def clear(self) -> None:
        """Nothing is watched."""
        self.requests = []
        self._marker = None

    def lose(self) -> None:
        """The connection is lost, and with it what was watched."""
        if self.requests:
            self._marker = LOST

    def is_on(self, marker: object) -> bool:
        """Whether keys are watched on this connection."""
        return self._marker is not None and self._marker is marker

    def check(self, marker: object) -> None:
        """``WatchError`` if the keys are not watched on this connection; nothing of the transaction is sent then."""
        if not self.is_on(marker):
            raise WatchError("the connection that watched the keys was lost; the transaction was not executed")


def results_of(replies: Exchanged, stack: Stack, callbacks: Mapping[Any, Any]) -> list[Any]:
    """What each command of a transaction is answered. A result may be awaitable, if its callback is."""
    found = replies.values[-1]
    if found is None:
        raise WatchError("WatchState variable changed.")
    if not isinstance(found, list) or len(found) != len(stack):
        raise ResponseError("Wrong number of response items from pipeline execution")
    return [_result(reply, *each, callbacks) for reply, each in zip(found, stack, strict=True)]


def _result(reply: Any, arguments: Sequence[Any], options: Mapping[str, Any], callbacks: Mapping[Any, Any]) -> Any:
    if isinstance(reply, Exception) or arguments[0] not in callbacks:
        return reply
    return callbacks[arguments[0]](reply, **{name: value for name, value in options.items() if name != "keys"})


def raise_ending(results: Iterable[Any]) -> None:
    """Raise the first result that says how a command ended without an answer."""
    for each in results:
        if isinstance(each, Exception) and not isinstance(each, ResponseError):
            raise each
