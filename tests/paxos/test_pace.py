"""The pace of a leader: a node that catches up arrives, and no other node stops the cluster."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.paxos.pace import LAG_SLOTS_MIN, PROGRESS_SECONDS, SLOT_SECONDS_MAX, STANDBY_SECONDS, Pace

BEHIND = 5 * LAG_SLOTS_MIN


class PaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pace = Pace()
        self.pace.know((1, 2, 3), (), 0.0)

    def catching_up(self) -> None:
        """Node 2 gets on, and is 4 times as far behind as is nothing."""
        self.pace.heard(2, 0, BEHIND, 0.0)
        self.pace.heard(2, LAG_SLOTS_MIN, BEHIND, 0.1)
        self.assertEqual(self.pace.wait(BEHIND + 1, 0.1), 0.0)

    def test_nobody_is_behind(self) -> None:
        """Slots under way are no lag: a cluster that is well is not held back."""
        for node in (1, 2, 3):
            self.pace.heard(node, 50, 50 + LAG_SLOTS_MIN, 0.0)
        self.assertEqual([self.pace.wait(slot, 0.0) for slot in (51 + LAG_SLOTS_MIN, 10**6)], [0.0, 0.0])
        self.assertEqual(self.pace.holding_back(0.0), {})

    def test_the_lag_does_not_grow(self) -> None:
        """Slots wait for the node, and are proposed as it gets on."""
        self.catching_up()
        self.assertEqual(self.pace.wait(BEHIND + 1, 0.101), 0.1 + SLOT_SECONDS_MAX - 0.101)
        self.assertEqual(self.pace.holding_back(0.101), {2: LAG_SLOTS_MIN})
        self.pace.heard(2, LAG_SLOTS_MIN + 100, BEHIND, 0.102)
        self.assertEqual(self.pace.wait(BEHIND + 5, 0.102), 0.0)
        self.assertGreater(self.pace.wait(BEHIND + 101, 0.103), 0.0)

    def test_the_lag_shrinks(self) -> None:
        """A node that is kept at a distance for ever never serves the latest."""
        self.catching_up()
        through, now, slot, lags = LAG_SLOTS_MIN, 0.1, BEHIND, []
        while self.pace.holding_back(now):
            lags.append(slot - through)
            now += 0.1
            through += 100
            self.pace.heard(2, through, slot, now)
            while self.pace.holding_back(now) and self.pace.wait(slot + 1, now) == 0.0:
                slot += 1
        self.assertEqual(sorted(lags, reverse=True), lags)
        self.assertLess(len(lags), 100)  # a fifth of the lag each second: in ten seconds it is there

    def test_it_has_arrived(self) -> None:
        """Then nothing is held back any more, whatever comes."""
        self.catching_up()
        self.pace.heard(2, BEHIND, BEHIND + 1, 0.2)
        self.assertEqual(self.pace.holding_back(0.2), {})
        self.assertEqual(self.pace.wait(10**6, 0.2), 0.0)

    def test_a_node_that_does_not_get_on(self) -> None:
        """It is down, or waits for a snapshot, or its disk hangs: clients do not wait for it."""
        self.pace.heard(2, 0, BEHIND, 0.0)
        self.pace.heard(2, 0, BEHIND, 0.5)
        self.assertEqual(self.pace.wait(10**6, 0.5), 0.0)
        self.setUp()
        self.catching_up()
        self.assertGreater(self.pace.wait(10**6, 0.101), 0.0)
        for later in (0.5, 0.1 + PROGRESS_SECONDS):
            self.pace.heard(2, LAG_SLOTS_MIN, BEHIND, later)
        self.assertEqual(self.pace.wait(10**6, 0.1 + PROGRESS_SECONDS), 0.0)

    @given(st.lists(st.floats(0.0, SLOT_SECONDS_MAX), min_size=1, max_size=30))
    def test_a_slot_now_and_then(self, steps: list[float]) -> None:
        """However slow a disk is, no slot is held back for longer than this."""
        self.setUp()
        self.catching_up()
        now, proposed_at = 0.1, 0.1
        for step in steps:
            now += step
            wait = self.pace.wait(10**6, now)
            if wait == 0.0:
                proposed_at = now
            self.assertLessEqual(now + wait - proposed_at, SLOT_SECONDS_MAX + 1e-9)

    def test_a_standby_is_not_waited_for_for_ever(self) -> None:
        """It may never get near, on a slow disk: the cluster works without it, and must not work slowly with it."""
        self.pace.know((1, 2, 3), (2,), -STANDBY_SECONDS + 1.0)
        self.pace.know((1, 2, 3), (2,), 0.0)
        self.catching_up()
        self.assertEqual(self.pace.holding_back(0.101), {2: LAG_SLOTS_MIN})
        self.pace.heard(2, LAG_SLOTS_MIN + 1, BEHIND, 1.0)
        self.assertEqual(self.pace.holding_back(1.0), {})
        self.pace.know((1, 2, 3), (), 1.0)
        self.assertEqual(self.pace.holding_back(1.0), {2: LAG_SLOTS_MIN + 1}, "it was promoted")

    def test_a_node_that_left(self) -> None:
        """It may hang on far behind for as long as it likes."""
        self.catching_up()
        self.pace.know((1, 3), (), 0.1)
        self.assertEqual(self.pace.holding_back(0.101), {})
        self.catching_up()
        self.assertEqual(self.pace.holding_back(0.101), {})

    def test_the_slowest_counts(self) -> None:
        """Of two that catch up the one that is further behind holds back; the other one alone would not."""
        self.catching_up()
        self.pace.heard(3, 0, 2 * BEHIND, 0.0)
        self.pace.heard(3, 2 * LAG_SLOTS_MIN, 2 * BEHIND, 0.1)
        self.assertGreater(self.pace.wait(BEHIND + 1, 0.101), 0.0)
        self.pace.heard(2, BEHIND, BEHIND, 0.102)
        self.assertEqual(self.pace.wait(BEHIND + 1, 0.102), 0.0)
