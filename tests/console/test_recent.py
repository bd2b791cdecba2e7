"""Quantiles of recent times are true: never below the real one, and about nothing that is long over."""

from __future__ import annotations

from math import ceil

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.console.recent import BOUNDS, STEP, WINDOW_SECONDS, RecentTimes


class RecentTimesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.times = RecentTimes(self.clock.seconds)

    def test_nothing(self) -> None:
        """A node that committed nothing has no quantile, and not one of zero."""
        self.assertIsNone(self.times.quantile(0.99))

    @given(st.lists(st.floats(0, 1_000), min_size=1, max_size=200), st.floats(0.01, 1.0))
    def test_against_sorting(self, seconds: list[float], share: float) -> None:
        """An operator who compares it with a limit must not be told less than the truth, nor much more."""
        times = RecentTimes(Clock().seconds)
        for each in seconds:
            times.observe(each)
        true = sorted(seconds)[ceil(share * len(seconds)) - 1]
        found = times.quantile(share)
        assert found is not None
        self.assertGreaterEqual(found, true)
        if BOUNDS[0] < true <= BOUNDS[-1]:
            self.assertLessEqual(found, true * STEP * 1.000001)
        self.assertLessEqual(found, max(seconds))

    def test_forgets(self) -> None:
        """A disk that was slow an hour ago is not slow now; what was seen a moment ago counts."""
        self.times.observe(2.0)
        self.clock.advance(WINDOW_SECONDS - 1)
        self.times.observe(0.001)
        self.assertEqual(self.times.quantile(1.0), 2.0)
        self.clock.advance(2)
        self.assertEqual(self.times.quantile(1.0), 2.0, "the window before still counts")
        self.times.observe(0.004)
        self.clock.advance(WINDOW_SECONDS)
        self.assertEqual(self.times.quantile(1.0), 0.004)
        self.clock.advance(3 * WINDOW_SECONDS)
        self.assertIsNone(self.times.quantile(1.0))

    def test_one_in_a_hundred(self) -> None:
        """The 99th percentile is that of the slowest in a hundred, from the second slow one in two hundred on."""
        for _ in range(198):
            self.times.observe(0.001)
        self.times.observe(0.5)
        self.times.observe(0.5)
        near = self.times.quantile(0.99)
        assert near is not None
        self.assertLess(near, 0.0012)
        self.times.observe(0.5)
        self.assertEqual(self.times.quantile(0.99), 0.5)
