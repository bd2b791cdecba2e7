"""Clients that have not said who they are, where they have to: there are not many of them, and none for long.

A client that has authenticated is none of them any more. The limits of their requests are in
``dkv.wire.request_limits``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from dkv.net.strangers import Strangers
from dkv.net.throttled_log import ThrottledLog

SECONDS_MAX = 10.0
"""How long a client may take to say who it is."""

UNNAMED_MAX = 2_000
"""How many there may be at once. Each may hold a short request, and what one read of its socket brings."""

SHARE = 4
"""And no more than this part of all clients that may be connected."""


class UnnamedClient(Protocol):
    """A connection of a client that has not said who it is."""

    @property
    def number(self) -> int:
        """That of the connection."""

    @property
    def peer(self) -> str:
        """The client's address, with its port."""

    @property
    def is_awaited(self) -> bool:
        """Whether it has said who it is, and that is being checked."""

    def finish(self) -> None:
        """Take in nothing more, and end the connection once all that was taken in is answered."""

    def kill(self) -> None:
        """End the connection now."""


class UnnamedClients:
    """Those of a node that ``connections_max`` clients may be connected to. Whoever is among them too long is ended."""

    def __init__(self, reactor: Any, connections_max: int, complaints: ThrottledLog) -> None:
        self._reactor = reactor
        self._crowd = Strangers(max(1, min(UNNAMED_MAX, connections_max // SHARE)))
        self._complaints = complaints
        self._present: dict[int, _Present] = {}  # in the order of their deadlines
        self._looking: Any = None
        self.ended = 0
        """How many were ended so far, because they said nothing or others came."""

    def __len__(self) -> int:
        return len(self._present)

    def add(self, client: UnnamedClient) -> None:
        """A client has to say who it is, from now on."""
        self.remove(client.number)
        deadline = self._reactor.seconds() + SECONDS_MAX
        present = self._present[client.number] = _Present(client, deadline, self._crowded_out)
        self._crowd.add(present)
        self._look_later()

    def remove(self, number: int) -> None:
        """The client with this number has said who it is, or is gone."""
        present = self._present.pop(number, None)
        if present is not None:
            self._crowd.remove(present)
            if not self._present:
                self.stop()

    def stop(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _look_later(self) -> None:
        if self._looking is None and self._present:
            first = next(iter(self._present.values()))
            self._looking = self._reactor.callLater(max(0.0, first.deadline - self._reactor.seconds()), self._look)

    def _look(self) -> None:
        """End those whose time is over. One whose password is being checked is still told what came of that."""
        self._looking = None
        now = self._reactor.seconds()
        for present in list(self._present.values()):
            if present.deadline > now:
                break
            self._end(present.client, f"it has not authenticated within {SECONDS_MAX:g} s")
        self._look_later()

    def _crowded_out(self, client: UnnamedClient) -> None:
        self._end(client, "too many clients that have not authenticated")

    def _end(self, client: UnnamedClient, reason: str) -> None:
        self.ended += 1
        self.remove(client.number)
        self._complaints.warning("unnamed_client_ended", peer=client.peer, reason=reason)
        if client.is_awaited:
            client.finish()
        else:
            client.kill()


class _Present:
    """One of them, as the crowd of ``Strangers`` knows it."""

    def __init__(self, client: UnnamedClient, deadline: float, crowded_out: Callable[[UnnamedClient], None]) -> None:
        self.client = client
        self.deadline = deadline
        self.host = client.peer.rpartition(":")[0]
        self._crowded_out = crowded_out

    def crowded_out(self) -> None:
        """Too many are there, and most of them at this address."""
        self._crowded_out(self.client)
