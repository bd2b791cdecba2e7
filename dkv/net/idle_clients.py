"""Clients on which nothing happens are closed, if the operator wants it so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.task import LoopingCall

LOOKS = 4
"""How often a client is looked at in ``idle_seconds_max``. So it is closed at most a quarter of that late."""


class Idler(Protocol):
    """A connection, as far as it may be idle."""

    quiet_looks: int
    """How often it was looked at since something came in or went out."""

    @property
    def is_busy(self) -> bool:
        """Whether the client waits for a reply, or the node for it to read one."""

    def finish(self) -> None:
        """Close."""


class IdleClients:
    """Looks at ``connections()``, and closes those that were idle for ``seconds_max``; never if that is 0.

    Looks are counted and not seconds. A process that stood still for an hour looks once when it goes on, and does not
    blame its clients for that hour. A client is told nothing: it would take that for the reply to its next request.
    """

    def __init__(self, reactor: Any, seconds_max: float, connections: Callable[[], Iterable[Idler]]) -> None:
        self._seconds = seconds_max / LOOKS
        self._connections = connections
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor

    def start(self) -> None:
        """Look from now on, if clients are to be closed at all."""
        if self._seconds and not self._looking.running:
            self._looking.start(self._seconds, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        for connection in list(self._connections()):
            if connection.is_busy:
                connection.quiet_looks = 0
            elif connection.quiet_looks >= LOOKS:
                connection.finish()
            else:
                connection.quiet_looks += 1
