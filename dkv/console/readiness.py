"""Whether a node serves. It is judged by what it served lately, or proved that it could, never by whom it hears (B41).

The notes of actors tell everything. A read that was answered, and a batch that took effect, prove that the node served
at the time when they came in. While clients ask for nothing the elector, or in classic mode the acceptor, notes
``may_serve``: a message of this node reached the leader, a quorum confirmed the leader after that, and word of it came
back. That proof counts once this node has applied the slot that such a read would have waited for. Proofs from the time
of an earlier leader do not count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from dkv import noted
from dkv.actor import Takers
from dkv.configurations import Configurations
from dkv.settings import CLASSIC, LEADER


class Condition(NamedTuple):
    """A condition that must hold for a node to be ready; ``failure`` says what is wrong if it does not."""

    name: str
    holds: bool
    failure: str


class Readiness:
    """The readiness of node ``node``: it served within ``request_seconds``. ``now`` is monotonic seconds, as in turns.

    In classic mode nobody leads. It is a ``member`` at the start, and perhaps a ``standby``, unless its log says else.
    """

    def __init__(
        self,
        node: int,
        request_seconds: float,
        now: Callable[[], float],
        mode: str = LEADER,
        member: bool = True,
        standby: bool = False,
    ) -> None:
        self._node = node
        self._request_seconds = request_seconds
        self._now = now
        self._classic = mode == CLASSIC
        self._member, self._standby = member, standby
        self._votes = self._replayed = False  # set a moment after the start, and then for good
        self._quorum_heard = True  # unknown until the first look notes it
        self.leader = 0
        """The leader that this node knows; 0 is none."""
        self._led_since = now()
        self._served_at = -inf
        self._proved_at = -inf  # the same, whoever led then
        self._unapplied: tuple[float, int] | None = None  # the oldest proof whose slot is not applied yet
        self._applied_through = 0
        self._outstanding: deque[float] = deque()
        self.takers: Takers = dict(
            (
                noted.votes.to(self._on_votes),
                noted.replayed.to(self._on_replayed),
                noted.quorum_heard.to(self._on_quorum_heard),
                noted.quorum_lost.to(self._on_quorum_lost),
                noted.leader_elected.to(self._on_leader_elected),
                noted.leader_lost.to(self._on_leader_lost),
                noted.applied.to(self._on_applied),
                noted.batch_numbered.to(self._on_batch_numbered),
                noted.batch_agreed.to(self._on_batch_agreed),
                noted.batch_passed.to(self._on_batch_passed),
                noted.reads_evaluated.to(self._on_reads_evaluated),
                noted.may_serve.to(self._on_may_serve),
                noted.members_are.to(self._on_members_are),
                noted.removed.to(self._on_removed),
            )
        )
        """The functions that learn from the notes of the node's actors."""

    # --- in ---

    def _on_votes(self) -> None:
        """The acceptor votes from now on: the node has met every other member."""
        self._votes = True

    def _on_replayed(self, **_: object) -> None:
        """The learner has applied the log that the node held at its start."""
        self._replayed = True

    def _on_quorum_heard(self, **_: object) -> None:
        """A majority is heard again."""
        self._quorum_heard = True

    def _on_quorum_lost(self, **_: object) -> None:
        """Too few members are heard to agree on anything."""
        self._quorum_heard = False

    def _on_leader_elected(self, *, leader: int, **_: object) -> None:
        """There is a leader, perhaps another one: proofs begin anew."""
        self._led_by(leader)

    def _on_leader_lost(self, **_: object) -> None:
        """No leader is known, so nothing can be served."""
        self._led_by(0)

    def _led_by(self, leader: int) -> None:
        """Forget the proofs from an earlier leader's time: they say nothing about this one's."""
        self.leader = leader
        self._led_since = self._now()
        self._served_at, self._unapplied = -inf, None

    def _on_applied(self, *, through: int, **_: object) -> None:
        """The slot that the oldest proof waits for may be applied now."""
        self._applied_through = through
        if self._unapplied is not None and self._unapplied[1] <= through:
            self._served(self._unapplied[0])
            self._unapplied = None

    def _on_batch_numbered(self, **_: object) -> None:
        """A batch of this node sets out: it proves nothing before it takes effect."""
        self._outstanding.append(self._now())

    def _on_batch_agreed(self, **_: object) -> None:
        """The oldest batch took effect, so the node served when it set out: batches take effect in order."""
        self._served(self._outstanding.popleft())

    def _on_batch_passed(self, **_: object) -> None:
        """The oldest batch is waited for no more. Its clients were not served, as its results are not known."""
        self._outstanding.popleft()

    def _on_reads_evaluated(self, *, seconds: float, **_: object) -> None:
        """Reads were answered, so the node served when they came in, ``seconds`` ago."""
        self._served(self._now() - seconds)

    def _on_may_serve(self, *, at: float, through: int) -> None:
        """A read that came in at ``at`` could be served once the slots up to ``through`` are applied here."""
        if through <= self._applied_through:
            self._served(at)
        elif self._unapplied is None:  # A node that is always a little behind would never apply the newest one's.
            self._unapplied = (at, through)

    def _on_members_are(self, *, configurations: Configurations, applied: int) -> None:
        """The log has come to other members, or some have taken force."""
        self._member = self._node in configurations.known(applied)
        self._standby = self._member and self._node not in configurations.in_force(applied).voters

    def _on_removed(self, **_: object) -> None:
        """This node is no member any more: what it would answer may be old."""
        self._member = False

    def _served(self, at: float) -> None:
        """A request that came in at ``at`` was served, or would have been."""
        self._proved_at = max(self._proved_at, at)
        if at >= self._led_since:
            self._served_at = max(self._served_at, at)

    # --- out ---

    @property
    def ready(self) -> bool:
        """Whether all conditions hold."""
        return all(condition.holds for condition in self.conditions())

    @property
    def serves(self) -> bool:
        """Whether clients need not look for another node.

        A node may be so without being ready: while a majority elects a leader it keeps requests, and answers them soon.
        """
        now = self._now()
        heard = self._quorum_heard or self.leader not in (0, self._node)  # see ``conditions``
        late = bool(self._outstanding) and now - self._outstanding[0] >= self._request_seconds
        took_part = self._member and self._replayed and (self._votes or self._standby)
        return took_part and heard and not late and now - self._proved_at < self._request_seconds

    def conditions(self) -> list[Condition]:
        """The conditions for a node to be ready, except those of its disk."""
        leader = [] if self._classic else [Condition("leader_known", self.leader > 0, "no leader is known")]
        why = self._why_not_served()
        votes = self._votes or self._standby  # a standby serves, and is never asked to vote
        heard = self._quorum_heard or self.leader > 0  # the leader has a quorum, and this node need not hear it
        return [
            Condition("member", self._member, "it is no member of the cluster, or not yet"),
            Condition("voting", votes, "it has not met every other member yet, and does not vote before"),
            Condition("replayed", self._replayed, "it is replaying its log"),
            *leader,
            Condition("quorum_heard", heard, "no majority of the members is heard"),
            Condition("served", why is None, why or ""),
        ]

    def _why_not_served(self) -> str | None:
        """Why a request that comes in now would not be answered in time, judged by the last ones; None if it would."""
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
