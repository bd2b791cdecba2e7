"""Where a node stands in an election: the four standings, and the only ways from one to another.

::

                 a leader    its leader    a quorum     its proposer   its proposer
                 is heard    is lost       grants       leads          stopped
    Follower     Follower    Leaderless*   Follower+    Leader         Follower
    Leaderless   Follower    -             Candidate    Leader         Leaderless
    Candidate    Follower    -             Candidate    Leader         Leaderless
    Leader       Follower    -             -            -              Leaderless

A node may hear a leader while its own proposer is still in phase 1. Then it follows, and remembers the campaign (+).
If it loses that leader before its proposer is done, it is a Candidate again (*).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import ClassVar

from dkv.ballot import Ballot
from dkv.paxos.hearing import Signs


@dataclass(slots=True)
class Follower:
    """Another node leads in ``ballot``. Times are monotonic seconds.

    ``beat_at`` is when its last heartbeat came, ``heard_at`` when the last bytes of it that count as a sign of life.
    ``campaign_began`` tells of a campaign of this node's own that has not ended yet.
    """

    ballot: Ballot
    beat_at: float
    heard_at: float
    campaign_began: float | None = None


@dataclass(frozen=True, slots=True)
class Leaderless:
    """No leader is known: the node asks for an election whenever its timer fires."""

    ballot: ClassVar[None] = None
    campaign_began: ClassVar[None] = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A majority granted this node an election: its proposer runs phase 1."""

    ballot: ClassVar[None] = None
    campaign_began: float


@dataclass(slots=True)
class Leader:
    """This node's proposer leads in ``ballot``.

    ``answers`` are the signs of those that answer its heartbeats; ``answered`` is the last one that each of them did,
    and ``counts`` the slot up to which it said that it holds all. One that is ``leaving`` is no voter any more and has
    named its successor.
    """

    campaign_began: ClassVar[None] = None
    ballot: Ballot
    answers: Signs
    answered: dict[int, int] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    leaving: bool = False


Standing = Follower | Leaderless | Candidate | Leader


def hears_leader(standing: Standing, now: float, seconds: float) -> bool:
    """Whether the node leads, or its leader gave a sign of life within ``seconds``."""
    return isinstance(standing, Leader) or (isinstance(standing, Follower) and now - standing.heard_at < seconds)


def campaigns(standing: Standing, now: float, seconds: float) -> bool:
    """Whether the node's proposer is in phase 1 on the word of a poll that is less than ``seconds`` old."""
    return standing.campaign_began is not None and now - standing.campaign_began < seconds


# --- The ways from one to another: a function for each column of the table ---------------------------------------


def leader_heard(ballot: Ballot, now: float, campaign_began: float | None) -> Follower:
    """A heartbeat of the leader of ``ballot`` came; ``campaign_began`` is that of this node's own, if it may go on."""
    return Follower(ballot, now, now, campaign_began)


def leader_lost(standing: Follower) -> Leaderless | Candidate:
    """The leader is gone, or silent for too long."""
    return Leaderless() if standing.campaign_began is None else Candidate(standing.campaign_began)


def poll_granted(standing: Follower | Leaderless | Candidate, now: float) -> Follower | Candidate:
    """A quorum granted this node an election: its campaign begins."""
    return replace(standing, campaign_began=now) if isinstance(standing, Follower) else Candidate(now)


def proposer_leads(ballot: Ballot, others: Iterable[int], now: float) -> Leader:
    """Phase 1 is done. The others have as long for their first answer as if they had just given one."""
    return Leader(ballot, Signs(others, now))


def proposer_stopped(standing: Standing) -> Follower | Leaderless:
    """The campaign is over, or the lead."""
    return replace(standing, campaign_began=None) if isinstance(standing, Follower) else Leaderless()
