"""Where a node takes in what its peers say."""

from __future__ import annotations

from typing import Any, Protocol

from dkv.actor import Address
from dkv.identity import Acquaintance


class Inbox(Protocol):
    """What the mesh tells the host."""

    def deliver(self, to_role: str, sender: Address, message: Any) -> None:
        """``message`` of ``sender``, on another node, has arrived for the actor ``to_role`` of this one."""

    def peer_met(self, node: int, acquaintance: Acquaintance) -> None:
        """A Hello of a new life of ``node`` is accepted: to be kept. The mesh says so before all that the life says."""

    def fence(self, reason: str) -> None:
        """A peer says that this node's directory must never take part again."""

    def removed(self, slot: int, addresses: tuple[str, ...]) -> None:
        """A member says that this node is none any more, by the entry in ``slot``; clients find it at ``addresses``."""

    def peer_up(self, node: int, incarnation: int, boot: int) -> None:
        """``node`` and this node have accepted each other: what is sent to it can arrive."""

    def peer_down(self, node: int) -> None:
        """A connection with ``node``, which was up, is lost. The mesh says so once until the node is up again."""

    def peer_heard(self, node: int) -> None:
        """Bytes of ``node`` have come in. The mesh says so at most once in ``heartbeat_seconds``."""
