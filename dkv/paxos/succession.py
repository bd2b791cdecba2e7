"""Succession: which node can take the lead over from this leader, and how it is asked to.

A leader that is about to stop, or is no voter any more, need not leave the others without a leader until they notice.
It names its successor (``TakeOver``), which runs phase 1 at once. No poll comes first: a poll protects a live leader,
and here that leader asks to be replaced. Meanwhile it leads on, until the higher ballot overtakes it. So a ``TakeOver``
that is lost, or that reaches a node which cannot follow it, costs nothing. Phase 1 is that of any other candidate:
nothing here is needed for safety.
"""

from __future__ import annotations

from dkv import noted
from dkv.actor import ELECTOR, PROPOSER, Address, Turn
from dkv.events import StepDown
from dkv.messages import TakeOver
from dkv.paxos.electorate import Electorate
from dkv.paxos.standing import Leader
from dkv.settings import Limits, Timings


class Succession:
    """What comes after the lead of ``node``; ``electorate`` is that of its elector."""

    def __init__(self, node: int, electorate: Electorate, limits: Limits, timings: Timings) -> None:
        self._node = node
        self._electorate = electorate
        self._lag_slots_max = limits.poll_lag_slots_max
        self._silence_seconds = timings.election_seconds_max

    def look(self, turn: Turn, leader: Leader) -> None:
        """At each tick of a leader, and when the members change: one that is no voter of the set in force must go.

        It names its successor first, which has until the next tick to overtake it.
        """
        turn.note(noted.successors, obstacles=self._obstacles(leader, turn.now))
        if self._electorate.in_force:
            return
        if leader.leaving:
            turn.send(Address(self._node, PROPOSER), StepDown("this node is no voter any more"))
        else:
            leader.leaving = True
            self.hand_over(turn, leader, None)

    def hand_over(self, turn: Turn, leader: Leader, to: int | None) -> None:
        """Ask node ``to`` to take over, or the best voter if that is None."""
        obstacles = self._obstacles(leader, turn.now)
        if to is None:
            to = self._best(leader, obstacles)
        obstacle = "no other voter can take over" if to is None else obstacles.get(to, f"node {to} is no other voter")
        if to is None or obstacle:
            turn.note(noted.not_handed_over, reason=obstacle)
            return
        turn.note(noted.handing_over, to=to, ballot=leader.ballot)
        turn.send(Address(to, ELECTOR), TakeOver(leader.ballot))

    def _best(self, leader: Leader, obstacles: dict[int, str]) -> int | None:
        """The voter with the most slots, first of those that stay voters; None if no voter can take over."""
        able = [voter for voter, obstacle in obstacles.items() if not obstacle]
        stay = self._electorate.members.configurations.newest.voters
        return max(able, key=lambda voter: (voter in stay, leader.counts[voter], -voter), default=None)

    def _obstacles(self, leader: Leader, now: float) -> dict[int, str]:
        """Each other voter of the set in force, and why it cannot take over; the empty text if it can."""
        answering = leader.answers.within(now, self._silence_seconds) & leader.counts.keys()
        voters = sorted(self._electorate.members.in_force.voters - {self._node})
        return {
            voter: self._lag(leader, voter) if voter in answering else f"node {voter} does not answer"
            for voter in voters
        }

    def _lag(self, leader: Leader, voter: int) -> str:
        """As for a poll: the catch-up of a node that is far behind would be an outage."""
        lag = self._electorate.chosen_through - leader.counts[voter]
        return f"node {voter} is about {lag} slots behind" if lag > self._lag_slots_max else ""
