"""A leader that stops gives its lead away, and does not wait for ever."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.actor import HOST, Address
from dkv.ballot import Ballot
from dkv.events import HandOver
from dkv.node.departure import AGAIN_SECONDS, Departure

ORDER = ("elector", Address(1, HOST), HandOver(None))


class DepartureTests(SynchronousTestCase):
    """Node 1, which leads."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.delivered: list[Any] = []
        self.departure = Departure(self.clock, 1, lambda *letter: self.delivered.append(letter))
        self.elected(1)

    def elected(self, leader: int) -> None:
        """The elector's word."""
        self.departure.takers[noted.leader_elected](leader=leader, ballot=Ballot(3, leader))

    def lost(self) -> None:
        """It is overtaken."""
        self.departure.takers[noted.leader_lost](leader=1, ballot=Ballot(3, 1), reason="this node stepped down")

    def begin(self) -> Deferred[None]:
        """The process is to stop."""
        return self.departure.begin(2.0)

    def check_over(self, over: Deferred[None]) -> None:
        """Nothing is waited for any more."""
        self.assertIsNone(self.successResultOf(over))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_until_another_node_leads(self) -> None:
        """It waits for the first word of the new leader: its own clients' requests go there."""
        over = self.begin()
        self.assertEqual(self.delivered, [ORDER])
        self.lost()
        self.assertNoResult(over)
        self.elected(2)
        self.check_over(over)

    def test_asks_again(self) -> None:
        """The node that was asked may have died, or its answer may be lost; once overtaken it has nothing to give."""
        over = self.begin()
        self.clock.advance(AGAIN_SECONDS)
        self.assertEqual(self.delivered, [ORDER, ORDER])
        self.lost()
        self.clock.advance(AGAIN_SECONDS)
        self.assertEqual(self.delivered, [ORDER, ORDER])
        self.assertNoResult(over)

    def test_not_for_ever(self) -> None:
        """A process that does not end is killed by systemd, which is worse than an election."""
        over = self.begin()
        for _ in range(19):
            self.clock.advance(0.1)
        self.assertNoResult(over)
        self.clock.advance(0.1)
        self.check_over(over)
        self.elected(2)

    def test_nobody_can(self) -> None:
        """The last node of a cluster stops at once."""
        over = self.begin()
        self.departure.takers[noted.not_handed_over](reason="no other voter can take over")
        self.check_over(over)

    def test_a_follower(self) -> None:
        """It has no lead to give away."""
        for happens in (lambda: self.elected(2), self.lost):
            self.elected(1)
            happens()
            self.check_over(self.begin())
        self.assertEqual(self.delivered, [])
