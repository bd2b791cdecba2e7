"""What a node hears of the members, in both modes, and how it notices that it stood still itself."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import GATEWAY, Address
from dkv.client_events import QuorumHeard
from dkv.configurations import first_configurations
from dkv.paxos.hearing import Hearing, Signs
from dkv.settings import Timings
from tests.turns import FakeTurn

TIMINGS = Timings()
OF_THREE = first_configurations((1, 2, 3)).newest


class SignsTests(SynchronousTestCase):
    def test_fresh_and_stale(self) -> None:
        """A node that was heard long ago may be dead: only fresh signs make a quorum."""
        signs = Signs((2, 3), 10.0)
        signs.came(3, 11.0)
        self.assertEqual(signs.within(11.5, 1.0), {3})
        self.assertEqual(signs.within(11.0, 1.0), {3}, "a sign of the full age is stale")
        signs.refresh(20.0)
        self.assertEqual(signs.within(20.5, 1.0), {2, 3})

    def test_lost(self) -> None:
        """A node whose connections are gone is not waited for, and a pause brings nobody back."""
        signs = Signs((2, 3), 10.0)
        signs.lost(2)
        signs.lost(7)
        signs.refresh(20.0)
        self.assertEqual((2 in signs, 3 in signs, bool(signs), bool(Signs())), (False, True, True, False))
        self.assertEqual(signs.within(20.0, 1.0), {3})


class HearingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.hearing = Hearing(1, TIMINGS)
        self.hearing.start(self.turn)

    def test_told_once(self) -> None:
        """Clients are told CLUSTERDOWN where no quorum is heard; the gateway takes one to be heard at first."""
        self.assertFalse(self.hearing.look(self.turn, OF_THREE))
        self.assertFalse(self.hearing.look(self.turn, OF_THREE))
        self.assertEqual(self.turn.take(), [(Address(1, GATEWAY), QuorumHeard(False))])
        self.hearing.signs.came(3, self.turn.now)
        self.assertTrue(self.hearing.look(self.turn, OF_THREE))
        self.assertEqual(self.turn.take(), [(Address(1, GATEWAY), QuorumHeard(True))])
        self.assertEqual((self.hearing.hears(3, self.turn.now), self.hearing.hears(2, self.turn.now)), (True, False))

    def test_b21_a_pause_says_nothing_about_the_others(self) -> None:
        """A node that stood still would take everybody for dead, and ask for an election that nobody needs (B21)."""
        for seconds in (TIMINGS.heartbeat_seconds, 5.0):
            self.hearing.signs.came(2, self.turn.now)
            self.hearing.tick_in(self.turn, seconds)
            self.turn.now += seconds + 0.49 * TIMINGS.election_seconds_min
            self.assertFalse(self.hearing.paused(self.turn))
            self.hearing.tick_in(self.turn, seconds)
            self.turn.now += seconds + 0.51 * TIMINGS.election_seconds_min + TIMINGS.silence_seconds
            self.assertTrue(self.hearing.paused(self.turn))
            self.assertTrue(self.hearing.look(self.turn, OF_THREE))
