"""A machine whose clock is off is named once, and once more when it is right again."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.paxos.clock_watch import ClockWatch
from tests.turns import FakeTurn


class ClockWatchTests(SynchronousTestCase):
    def test_off_and_right_again(self) -> None:
        """A line with every heartbeat would bury it; a clock that nobody hears of changes nothing."""
        turn, watch = FakeTurn(), ClockWatch()
        right = {1: 5_000 - 100_000.0, 2: 14_000 - 100_000.0}
        for clocks in (right, right | {3: -96_000.0 - 10_000}, {3: -120_000.0}, right, {3: -95_000.0}, right):
            watch.look(turn, 5_000, clocks)
        said = [("clock_off", {"peer": 3, "seconds": -11.0}), ("clock_agrees", {"peer": 3, "seconds": 0.0})]
        self.assertEqual(turn.notes, said)
        self.assertEqual(turn.measures[0][1], {"time_ms": 5_000, "offsets": {1: 0.0, 2: 9.0}})
