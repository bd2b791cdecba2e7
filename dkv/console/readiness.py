"""Whether a node serves: judged by what it has served of late, or proved that it could, never by whom it hears (B41).

All of it is learned from what actors note. A read that was answered, and a batch that took effect, prove that the
node served when they came in; while clients ask for nothing the elector, or the acceptor in classic mode, notes
``may_serve``: what this node sent reached the leader, a quorum confirmed it since, and word of it came back. That
counts once the slot that such a read would have waited for is applied here. Proofs of an earlier leader's time do not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

from dkv.actor import ELECTOR
from dkv.settings import CLASSIC, LEADER


class Condition(NamedTuple):
    """One of the things that must hold for a node to be ready; ``failure`` says what is wrong if it does not."""

    name: str
    holds: bool
    failure: str


class Readiness:
    """The readiness of node ``node``: it served within ``request_seconds``. ``now`` is monotonic seconds, as in turns.

    In classic mode nobody leads.
    """

    def __init__(self, node: int, request_seconds: float, now: Callable[[], float], mode: str = LEADER) -> None:
        self._node = node
        self._request_seconds = request_seconds
        self._now = now
        self._classic = mode == CLASSIC
        self._reached: set[str] = set()  # of what a node reaches once, at its start: "votes" and "replayed"
        self._quorum_heard = True  # until it is noted, which it is at the first look
        self.leader = 0
        """Who leads, as far as this node knows; 0 is nobody."""
        self._led_since = now()
        self._served_at = -inf
        self._unapplied: tuple[float, int] | None = None  # the oldest proof whose slot is not applied yet
        self._applied_through = 0
        self._outstanding: deque[float] = deque()
        self._takers: dict[str, Callable[[dict[str, Any]], None]] = {
            "applied": self._on_applied,
            "batch_numbered": lambda _: self._outstanding.append(self._now()),
            "batch_agreed": lambda _: self._served(self._outstanding.popleft()),
            "reads_evaluated": lambda fields: self._served(self._now() - fields["seconds"]),
            "may_serve": self._on_may_serve,
        }

    # --- in ---

    def note(self, actor: str, event: str, fields: dict[str, Any]) -> None:
        """Learn from what an actor notes."""
        take = self._takers.get(event)
        if take is not None:
            take(fields)
        elif event in ("votes", "replayed"):
            self._reached.add(event)
        elif event in ("quorum_heard", "quorum_lost"):
            self._quorum_heard = event == "quorum_heard"
        elif actor == ELECTOR and event in ("leader_elected", "leader_lost"):
            self.leader = fields["leader"] if event == "leader_elected" else 0
            self._led_since = self._now()
            self._served_at, self._unapplied = -inf, None

    def _on_applied(self, fields: dict[str, Any]) -> None:
        self._applied_through = fields["through"]
        if self._unapplied is not None and self._unapplied[1] <= self._applied_through:
            (at, _), self._unapplied = self._unapplied, None
            self._served(at)

    def _on_may_serve(self, fields: dict[str, Any]) -> None:
        at, through = fields["at"], fields["through"]
        if through <= self._applied_through:
            self._served(at)
        elif self._unapplied is None:  # A node that is always a little behind would never have applied the newest.
            self._unapplied = (at, through)

    def _served(self, at: float) -> None:
        """What came in at ``at`` was served, or would have been."""
        if at >= self._led_since:
            self._served_at = max(self._served_at, at)

    # --- out ---

    @property
    def ready(self) -> bool:
        """Whether all conditions hold."""
        return all(condition.holds for condition in self.conditions())

    def conditions(self) -> list[Condition]:
        """What must hold for a node to be ready, but for its disk."""
        leader = [] if self._classic else [Condition("leader_known", self.leader > 0, "no leader is known")]
        why = self._why_not_served()
        heard = self._quorum_heard or self.leader > 0  # who leads has a quorum, which this node need not hear
        return [
            Condition(
                "voting", "votes" in self._reached, "it has not met every other member yet, and does not vote before"
            ),
            Condition("replayed", "replayed" in self._reached, "it is replaying its log"),
            *leader,
            Condition("quorum_heard", heard, "no majority of the members is heard"),
            Condition("served", why is None, why or ""),
        ]

    def _why_not_served(self) -> str | None:
        """Why a request that came in now would not be answered in time, to judge by the last ones; None if it would."""
        now = self._now()
        if self._outstanding and now - self._outstanding[0] >= self._request_seconds:
            return f"what clients wrote here has waited for {now - self._outstanding[0]:.1f} s to be agreed on"
        if now - self._served_at < self._request_seconds:
            return None
        seconds = f"{now - max(self._served_at, self._led_since):.1f} s"
        if self._unapplied is not None:
            return f"it has applied slot {self._applied_through} of {self._unapplied[1]} and is behind for {seconds}"
        if self._classic or self.leader == self._node:
            return f"no majority has answered this node for {seconds}"
        if self.leader:
            return f"node {self.leader}, the leader, has not answered this node for {seconds}"
        return f"nobody has answered this node for {seconds}"
