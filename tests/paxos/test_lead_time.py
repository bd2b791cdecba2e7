"""The time of a lead: a quorum's clocks decide it, and no single one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import Configuration
from dkv.paxos.lead_time import LEAP_MS, RATE, LeadTime, reached
from dkv.records import STAMP_MAX

THREE = Configuration(0, 1, frozenset((1, 2, 3)), frozenset((4,)))
FIVE = Configuration(0, 1, frozenset((1, 2, 3, 4, 5)))
HOUR_MS = 3_600_000


class ReachedTests(SynchronousTestCase):
    """The latest time that a quorum has reached."""

    def test_one_wrong_of_three(self) -> None:
        """With a bare quorum it is the earlier one."""
        self.assertEqual(reached({1: 100, 2: 101, 3: 9_999}, THREE), 101)
        self.assertEqual(reached({1: 100, 2: 101, 3: 0}, THREE), 100)
        self.assertEqual(reached({1: 100, 3: 9_999}, THREE), 100)
        self.assertIsNone(reached({1: 100}, THREE))

    def test_two_wrong_of_five(self) -> None:
        """They can be most of those that are heard: a median would be one of theirs."""
        self.assertEqual(reached({1: 100, 4: 8_888, 5: 9_999}, FIVE), 100)

    def test_standbys(self) -> None:
        """They are counted nowhere."""
        self.assertIsNone(reached({1: 100, 4: 100}, THREE))
        self.assertEqual(reached({1: 100, 2: 200, 4: 300}, THREE), 100)

    @given(st.sets(st.integers(1, 5), min_size=3), st.data())
    def test_a_minority_moves_nothing_ahead(self, heard: set[int], data: st.DataObject) -> None:
        """It is never later than the latest right clock."""
        wrong = data.draw(st.sets(st.integers(1, 5), max_size=2))
        clocks = {node: data.draw(st.integers(0, 10**6)) if node in wrong else 1_000 + node for node in heard}
        found = reached(clocks, FIVE)
        assert found is not None
        self.assertLessEqual(found, max(clock for node, clock in clocks.items() if node not in wrong))


class LeadTimeTests(SynchronousTestCase):
    """Clocks are those of voters, less the leader's monotonic clock."""

    def begin(self, clocks: dict[int, float], found: int = 0) -> LeadTime:
        time = LeadTime(clocks, THREE, 0.0)
        time.saw(found)
        return time

    def test_begins(self) -> None:
        """With the time of its quorum, or with the highest stamp if that is later."""
        self.assertEqual(self.begin({1: 5_000, 2: 9_000}).now(1.0), 6_000)
        time = self.begin({1: 5_000, 2: 9_000}, 20_000)
        self.assertEqual([time.stamp(now) for now in (1.0, 2.0)], [20_000, 21_000])

    def test_no_clock_shows_so_much(self) -> None:
        """But anything may stand in the log, and a message carries no more."""
        time = self.begin({1: 5_000, 2: 9_000}, STAMP_MAX)
        self.assertEqual([time.stamp(now) for now in (1.0, 2_000.0)], [STAMP_MAX, STAMP_MAX])

    def test_late_promises(self) -> None:
        """With all three one wrong clock does not matter at all; but what is stamped is stamped."""
        time = self.begin({1: 5_000, 2: 0})
        time.promised(3, 5_010)
        self.assertEqual(time.stamp(1.0), 6_000)
        time.promised(2, 99_000)
        self.assertEqual(time.stamp(1.0), 6_000)

    def test_follows(self) -> None:
        """Slowly, in both directions, and as far as a quorum says."""
        for offset, speed in ((HOUR_MS, 1 + RATE), (-HOUR_MS, 1 - RATE)):
            time = self.begin({1: 5_000, 2: 5_000})
            time.stamp(0.0)
            time.clocks_are(0.0, {1: 5_000 + offset, 2: 5_000 + offset, 3: 7}, THREE)
            self.assertEqual(time.now(100.0), 5_000 + int(100_000 * speed))

    def test_arrives(self) -> None:
        time = self.begin({1: 5_000, 2: 5_000})
        time.clocks_are(0.0, {1: 5_020, 2: 5_020}, THREE)
        self.assertEqual([time.now(now) for now in (0.2, 0.4, 9.0)], [5_210, 5_420, 14_020])

    def test_one_clock_moves_nothing(self) -> None:
        """Nor do clocks that are no quorum."""
        time = self.begin({1: 5_000, 2: 5_000})
        time.clocks_are(0.0, {1: 5_000, 2: 5_000, 3: HOUR_MS}, THREE)
        time.clocks_are(1.0, {3: HOUR_MS}, THREE)
        self.assertEqual(time.now(100.0), 105_000)

    def test_saw(self) -> None:
        """The state may have come further than what phase 1 found."""
        time = self.begin({1: 5_000, 2: 5_000})
        time.saw(8_000)
        time.saw(7_000)
        self.assertEqual([time.stamp(now) for now in (1.0, 2.0)], [8_000, 9_000])

    def test_leaps(self) -> None:
        """The wall clock runs ahead of the monotonic one while the machine sleeps."""
        time = self.begin({1: 5_000, 2: 5_000})
        self.assertFalse(time.leapt(100.0, 100_000 + LEAP_MS))
        self.assertTrue(time.leapt(100.0, 100_001 + 2 * LEAP_MS))
        self.assertTrue(time.leapt(102.0, 0), "it does not know any more what time it is")

    def test_leaps_back(self) -> None:
        """A wall clock that is set back says nothing of sleep."""
        time = self.begin({1: 5_000, 2: 5_000})
        self.assertFalse(time.leapt(102.0, 0))

    @given(
        st.lists(
            st.tuples(st.floats(0, 100), st.dictionaries(st.integers(1, 4), st.integers(-HOUR_MS, HOUR_MS))),
            max_size=20,
        )
    )
    def test_never_falls_and_never_hurries(self, steps: list[tuple[float, dict[int, float]]]) -> None:
        """Whatever the clocks say."""
        time = self.begin({1: 5_000, 2: 5_000})
        now, before = 0.0, time.stamp(0.0)
        for passed, clocks in steps:
            time.clocks_are(now, clocks, THREE)
            now += passed
            stamp = time.stamp(now)
            self.assertLessEqual(before, stamp)
            self.assertLessEqual(stamp - before, passed * 1000 * (1 + RATE) + 1)
            before = stamp
