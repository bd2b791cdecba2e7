"""How far the other members have come, by their own word: whoever is to vote must be near."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dkv import noted
from dkv.actor import Takers

CLAIM_SECONDS = 2.0
"""For how long a member counts as near that was near when it spoke last, while this node goes on."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A node has applied all slots up to ``through``. It was so many slots behind when that was heard."""

    through: int
    lag: int
    heard_at: float


class MemberLags:
    """By how many slots other nodes are behind ``node``. ``now`` is in monotonic seconds.

    Each node tells the others about its log when that has grown, at most once in a heartbeat's time.
    """

    def __init__(self, node: int, now: Callable[[], float]) -> None:
        self._node = node
        self._now = now
        self._applied_through = 0
        self._claims: dict[int, _Claim] = {}
        self.takers: Takers = dict(
            (noted.applied.to(self._on_applied), noted.peer_applied.to(self._on_peer_applied)),
        )
        """The functions that learn from the notes of the node's actors."""

    def _on_applied(self, *, through: int, **_: object) -> None:
        """This node goes on."""
        self._applied_through = through

    def _on_peer_applied(self, *, peer: int, through: int) -> None:
        """Another node says how far it has come."""
        self._claims[peer] = _Claim(through, max(self._applied_through - through, 0), self._now())

    def lag(self, node: int) -> int | None:
        """By how many slots a node is behind this one; None if it has not said yet how far it has come."""
        claim = self._claims.get(node)
        if node == self._node or (claim is None and not self._applied_through):
            return 0
        if claim is None:
            return None
        lag = max(self._applied_through - claim.through, 0)
        return min(lag, claim.lag) if self._now() - claim.heard_at <= CLAIM_SECONDS else lag
