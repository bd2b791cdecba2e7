"""The last wait for a client: everything is answered, and it has not read all of it."""

from __future__ import annotations

from typing import Any

from dkv.net.uptake import acknowledged_bytes

LINGER_SECONDS = 5.0
"""How long a client may read nothing of its last replies."""


class Lingering:
    """Ends the connection of ``transport`` once its client has read nothing for a while, if it is still there."""

    def __init__(self, reactor: Any, transport: Any) -> None:
        self._reactor = reactor
        self._transport = transport
        self._read = -1
        self._next: Any
        self._look()

    def stop(self) -> None:
        """The connection has ended."""
        if self._next.active():
            self._next.cancel()

    def _look(self) -> None:
        read = acknowledged_bytes(self._transport)
        if read > self._read:
            self._read = read
            self._next = self._reactor.callLater(LINGER_SECONDS, self._look)
        else:
            self._transport.abortConnection()
