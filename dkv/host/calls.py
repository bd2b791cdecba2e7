"""A call that will be made later, as ``Clock.callLater`` gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class PlannedCall:
    """A call that is made once, unless it is cancelled before; what Twisted's ``IDelayedCall`` says of both."""

    __slots__ = ("_arguments", "_call")

    def __init__(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._call: Callable[..., Any] | None = call
        self._arguments = arguments

    def cancel(self) -> None:
        """Do not make it; does nothing once it is made or cancelled."""
        self._call = None

    def active(self) -> bool:
        """Whether it is still to be made."""
        return self._call is not None

    def make(self) -> None:
        """Make it, unless it was made or cancelled."""
        call, self._call = self._call, None
        if call is not None:
            call(*self._arguments)
