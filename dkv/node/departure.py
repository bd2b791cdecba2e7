"""The last thing that a leader does before its process stops: it gives the lead to another node.

Else the others would notice that it is gone, wait for a moment, poll, and only then elect. So writes pause for as long
as phase 1 takes, and clients of other nodes hardly notice. The elector chooses the successor (``paxos/succession``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from dkv import noted
from dkv.actor import ELECTOR, HOST, Address, Takers
from dkv.events import HandOver

AGAIN_SECONDS = 0.1
"""How long to wait before the elector is asked again: its successor may have died meanwhile."""


class Departure:
    """Node ``node`` gives the lead away, if it has it. ``deliver`` gives a message to an actor of the node."""

    def __init__(self, reactor: Any, node: int, deliver: Callable[[str, Address, Any], None]) -> None:
        self._reactor = reactor
        self._node = node
        self._deliver = deliver
        self._leads = False
        self._over: Deferred[None] | None = None
        self.takers: Takers = dict(
            (
                noted.leader_elected.to(self._on_leader_elected),
                noted.leader_lost.to(self._on_leader_lost),
                noted.not_handed_over.to(self._on_not_handed_over),
            )
        )
        """The functions that learn from the notes of the node's actors."""

    def _on_leader_elected(self, *, leader: int, **_: object) -> None:
        """Somebody leads; if it is another node, it has taken over."""
        self._leads = leader == self._node
        if not self._leads:
            self._end()

    def _on_leader_lost(self, **_: object) -> None:
        """The own lead is over, but nobody leads yet: the successor's heartbeat will tell."""
        self._leads = False

    def _on_not_handed_over(self, **_: object) -> None:
        """No other node can lead, so there is nothing to wait for."""
        self._end()

    def begin(self, seconds: float) -> Deferred[None]:
        """Fires when another node leads, when none can, or after ``seconds``; at once if this node does not lead."""
        over: Deferred[None] = Deferred()
        if not self._leads:
            over.callback(None)
            return over
        self._over = over
        self._late = self._reactor.callLater(seconds, self._end)
        self._ask()
        return over

    def stop(self) -> None:
        """Wait no longer for anybody."""
        self._end()

    def _ask(self) -> None:
        if self._over is not None:
            if self._leads:
                self._deliver(ELECTOR, Address(self._node, HOST), HandOver(None))
            self._again = self._reactor.callLater(AGAIN_SECONDS, self._ask)

    def _end(self) -> None:
        over, self._over = self._over, None
        if over is not None:
            for call in (self._late, self._again):
                if call.active():
                    call.cancel()
            over.callback(None)
