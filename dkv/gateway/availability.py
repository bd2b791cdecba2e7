"""Whether a node can serve its clients at the moment, and what it tells them when it cannot."""

from __future__ import annotations

from dkv import noted
from dkv.actor import Turn
from dkv.gateway.belonging import Belonging
from dkv.replies import Error
from dkv.settings import Timings

LOADING = Error("LOADING this node is replaying its log; the request was not applied, retry")

PASSED_WRITE = Error(
    "UNCERTAIN this node was behind and got a snapshot in place of the request's result:"
    " it may or may not have taken effect; retry it with the same IDMP token, or read first"
)
PASSED_READ = Error("TRYAGAIN this node was behind and got a snapshot in place of the request's result; retry")
"""The answers to a write and a read in a batch whose results no learner of this node will ever know."""


class Availability:
    """What the gateway has heard of its own node and of the others; ``classic`` says that nobody leads."""

    def __init__(self, timings: Timings, classic: bool, belonging: Belonging) -> None:
        self._belonging = belonging
        self.loading = True
        """The log is still being replayed."""
        self.leader_known = False
        """A node leads; in classic mode, this node has heard of a quorum since its start."""
        self.quorum_lost_at: float | None = None
        """Since when no quorum is heard, in monotonic seconds; None while one is heard."""
        self._request_seconds = timings.request_seconds
        self._wanted = "majority" if classic else "leader"
        self.uncertain = Error(
            f"UNCERTAIN the request was proposed and no decision came within {timings.request_seconds:g} s:"
            " it may or may not take effect, now or later; retry it with the same IDMP token, or read first"
        )
        """The answer to a write that has a number and waited too long."""

    @property
    def refusal(self) -> Error:
        """The answer to a request that has no number and waited too long."""
        if self._belonging.refusal is not None:
            return self._belonging.refusal
        if self._cluster_is_down():
            return Error("CLUSTERDOWN no majority of the nodes is reachable; the request was not applied")
        waited = f"no {self._wanted} answered within {self._request_seconds:g} s"
        return Error(f"TRYAGAIN {waited}; the request was not applied, retry")

    def refusal_at_once(self, now: float) -> Error | None:
        """Why a request need not even wait: this node is loading, or is no member, or has heard no quorum for long.

        That is as long as a request waits.
        """
        if self.loading:
            return LOADING
        if self._belonging.refusal is not None:
            return self._belonging.refusal
        if self._cluster_is_down() and now - (self.quorum_lost_at or 0.0) >= self._request_seconds:
            return self.refusal
        return None

    def _cluster_is_down(self) -> bool:
        """No leader is known and no quorum is heard: a leader that is heard has a quorum of its own."""
        return not self.leader_known and self.quorum_lost_at is not None


def note_refusal(turn: Turn, refusal: Error, count: int) -> None:
    """Count requests that were answered with ``refusal``, by its first word."""
    if count:
        turn.note(noted.refused, reason=refusal.text.partition(" ")[0], count=count)
