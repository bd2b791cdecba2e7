"""Something that happens once, and all who want to hear of it, whether they ask before or after."""

from __future__ import annotations

from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Moment(Generic[T]):
    """``wait`` gives each caller a Deferred of its own, so none can change what another one hears."""

    def __init__(self) -> None:
        self._waiting: list[Deferred[T]] = []
        self._result: list[T | Failure] = []  # one, once it has come

    @property
    def has_come(self) -> bool:
        """Whether it has happened."""
        return bool(self._result)

    def wait(self) -> Deferred[T]:
        """Fires with what ``come`` was given; at once if it has come already."""
        waiting: Deferred[T] = Deferred()
        if self._result:
            waiting.callback(self._result[0])
        else:
            self._waiting.append(waiting)
        return waiting

    def come(self, result: T | Failure) -> None:
        """It happens now; a second time does nothing. A ``Failure`` is for those who wait an error."""
        if not self._result:
            self._result.append(result)
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(result)
