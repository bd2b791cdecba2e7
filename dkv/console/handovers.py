"""An operator wants another node to lead: whether that can be, as far as this node knows, and the order to its elector.

What is known comes from the elector's notes, so an operator is told at once why a node cannot lead. The elector looks
again before it asks that node, and nobody answers the order: who leads then is seen in the status of any node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dkv import noted
from dkv.actor import ELECTOR, HOST, Address, Takers
from dkv.events import HandOver
from dkv.settings import CLASSIC


class Handovers:
    """Transfers of the lead by node ``node``; ``deliver`` gives a message to an actor of it."""

    def __init__(self, node: int, mode: str, deliver: Callable[[str, Address, Any], None]) -> None:
        self._node = node
        self._classic = mode == CLASSIC
        self._deliver = deliver
        self._leader = 0
        self._obstacles: dict[int, str] | None = None  # None: this node has not looked since it leads
        self.takers: Takers = dict(
            (
                noted.leader_elected.to(self._on_leader_elected),
                noted.leader_lost.to(self._on_leader_lost),
                noted.successors.to(self._on_successors),
            )
        )
        """The functions that learn from the notes of the node's actors."""

    def _on_leader_elected(self, *, leader: int, **_: object) -> None:
        """This node follows another leader, or leads. What an earlier lead knew of the others is of the past."""
        self._leader, self._obstacles = leader, None

    def _on_leader_lost(self, **_: object) -> None:
        """No leader is known."""
        self._leader = 0

    def _on_successors(self, *, obstacles: dict[int, str]) -> None:
        """This node leads, and has looked at the other voters."""
        self._obstacles = obstacles

    def transfer(self, to: int) -> str | None:
        """Ask node ``to`` to take the lead over; or say why it cannot, as an error's text, and do nothing.

        It may be asked again and again: the node that leads already is content.
        """
        if self._classic:
            return "ERR nobody leads in classic mode"
        if self._leader == to:
            return None
        if self._leader == 0:
            return f"TRYAGAIN node {self._node} knows no leader at the moment"
        if self._leader != self._node:
            return f"ERR node {self._node} does not lead, node {self._leader} does: send this to node {self._leader}"
        if self._obstacles is None:
            return (
                f"TRYAGAIN node {self._node} leads since a moment ago, and does not know yet which nodes could follow"
            )
        if to not in self._obstacles:
            others = ", ".join(map(str, self._obstacles)) or "none"
            return f"ERR node {to} is no voter beside node {self._node}, which leads; the other voters: {others}"
        if self._obstacles[to]:
            return f"ERR {self._obstacles[to]}, so it cannot take over"
        self._deliver(ELECTOR, Address(self._node, HOST), HandOver(to))
        return None
