from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import MIB
from tests.soak.figures import SAMPLES_MIN, Bound, Figures, Series

BOUND = Bound(1.2, 10 * MIB)


class SeriesTests(SynchronousTestCase):
    """What is flat, and what grows."""

    def series(self, *megabytes: int) -> Series:
        """Each value for many samples."""
        return Series("disk of node 1", BOUND, [each * MIB for each in megabytes for _ in range(SAMPLES_MIN)])

    def test_what_grows_is_found(self) -> None:
        """A log that nobody shortens fills the disk some night."""
        grown = self.series(100, 200, 300).grows()
        self.assertEqual(grown, "disk of node 1 grew from 200.0 MiB in the middle third to 300.0 MiB in the last")

    def test_the_first_third_is_for_warming_up(self) -> None:
        """Caches and buffers fill up first."""
        self.assertEqual(self.series(10, 200, 210).grows(), "")

    def test_a_saw_is_flat(self) -> None:
        """What is compacted now and then goes up and down."""
        self.assertEqual(self.series(*[100, 300, 200] * 5).grows(), "")

    def test_at_its_bound(self) -> None:
        """The factor and the slack are both allowed, and nothing more."""
        self.assertEqual(self.series(0, 100, 130).grows(), "")
        self.assertNotEqual(self.series(0, 100, 131).grows(), "")

    def test_too_few_samples(self) -> None:
        """A run of seconds says nothing about a trend."""
        self.assertEqual(Series("memory", BOUND, [1, 2, 300 * MIB]).grows(), "")

    def test_samples(self) -> None:
        """Each figure has its own look."""
        figures = Figures([("memory", BOUND, lambda: 7), ("disk", BOUND, lambda: 8)])
        figures.sample()
        figures.sample()
        self.assertEqual([series.values for series in figures.series], [[7, 7], [8, 8]])
