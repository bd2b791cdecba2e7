"""A bound on what large requests cost before they are complete, over all clients of a node.

A client may send the beginning of an 8 MiB request and stop. So only a few connections at a time may go on with a
request that has grown large. The others are not read until one of those has finished. A connection that takes too long
while others wait is closed.
"""

from __future__ import annotations

from typing import Any, Protocol

from dkv.settings import KIB, Limits

LARGE_BYTES = 64 * KIB
"""How much of an unfinished request may be held without asking. One read brings about as much."""

LARGE_SECONDS = 10.0
"""How long a large request may take to arrive while others wait."""


class Receiver(Protocol):
    """A connection, as far as its unfinished request is concerned."""

    def proceed(self) -> None:
        """Read on: it is your turn."""

    def give_up(self, text: str) -> None:
        """Answer the error ``text`` behind what is outstanding, and close."""


class LargeRequests:
    """Gives leave to go on with a large request, to a few connections at a time, first come, first served."""

    def __init__(self, reactor: Any, limits: Limits) -> None:
        self._reactor = reactor
        self._at_once = max(1, limits.node_inflight_bytes_max // limits.request_bytes_max)
        self._since: dict[Receiver, float] = {}
        self._waiting: dict[Receiver, None] = {}
        self._watch: Any = None

    def may_read(self, receiver: Receiver, held: int) -> bool:
        """Whether ``receiver``, with an unfinished request of ``held`` bytes, may read on. If not, it is told later."""
        if held <= LARGE_BYTES:
            if receiver in self._since or receiver in self._waiting:
                self.forget(receiver)
            return True
        if receiver in self._since:
            return True
        if receiver not in self._waiting and len(self._since) < self._at_once:
            self._since[receiver] = self._reactor.seconds()
            return True
        self._waiting[receiver] = None
        if self._watch is None:
            self._watch = self._reactor.callLater(LARGE_SECONDS, self._end_slow)
        return False

    def forget(self, receiver: Receiver) -> None:
        """The request is complete, or the connection is gone: the next one may go on."""
        self._waiting.pop(receiver, None)
        self._since.pop(receiver, None)
        self._admit()

    def _admit(self) -> None:
        while self._waiting and len(self._since) < self._at_once:
            receiver = next(iter(self._waiting))
            del self._waiting[receiver]
            self._since[receiver] = self._reactor.seconds()
            receiver.proceed()
        if not self._waiting and self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _end_slow(self) -> None:
        self._watch = None
        began_by = self._reactor.seconds() - LARGE_SECONDS
        for receiver in [receiver for receiver, since in self._since.items() if since <= began_by]:
            receiver.give_up(f"TRYAGAIN the request took more than {LARGE_SECONDS:g} s to arrive and others wait")
            self.forget(receiver)
        if self._waiting and self._watch is None:
            next_due = min(self._since.values()) + LARGE_SECONDS - self._reactor.seconds()
            self._watch = self._reactor.callLater(next_due, self._end_slow)
