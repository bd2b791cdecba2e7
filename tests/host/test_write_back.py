"""Applied state is written now and then: soon enough that a start is quick, rarely enough that it costs little."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.host.layers import Layers
from dkv.host.write_back import WriteBack
from dkv.settings import Limits, Timings
from dkv.sim.memory import MemoryStore

BYTES_MAX = 1_000
SECONDS = 2.0


class WriteBackTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.layers = Layers(MemoryStore(), MemoryStore())
        limits, timings = Limits(write_back_bytes_max=BYTES_MAX), Timings(write_back_seconds=SECONDS)
        self.asked: list[float] = []
        self.write_back = WriteBack(
            self.layers, self.clock, limits, timings, lambda: self.asked.append(self.clock.seconds())
        )

    def test_nothing_staged(self) -> None:
        """An idle node does not wake its disk."""
        self.clock.advance(SECONDS * 3)
        self.assertFalse(self.write_back.is_due())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_by_time(self) -> None:
        """The last writes before a pause are written though no commit comes by; asked twice, there is one timer."""
        self.clock.advance(0.5)
        self.layers.stage(b"k", b"v")
        self.assertFalse(self.write_back.is_due())
        self.assertFalse(self.write_back.is_due())
        for _ in range(30):
            self.clock.advance(0.1)
        self.assertEqual(len(self.asked), 1)
        self.assertAlmostEqual(self.asked[0], SECONDS)
        self.assertTrue(self.write_back.is_due())

    def test_by_time_again(self) -> None:
        """What is staged after one write-back does not wait for the next busy moment."""
        for times in (1, 2, 3):
            self.layers.stage(b"k", b"v")
            self.assertFalse(self.write_back.is_due())
            self.clock.advance(SECONDS)
            self.assertEqual(len(self.asked), times)
            self.write_back.written()

    def test_by_weight(self) -> None:
        """At the limit they may wait, above it they do not: memory is bounded."""
        self.layers.stage(b"k", b"")
        value = b"v" * (BYTES_MAX - self.layers.staged_bytes)
        self.layers.stage(b"k", value)
        self.assertEqual(self.layers.staged_bytes, BYTES_MAX)
        self.assertFalse(self.write_back.is_due())
        self.layers.stage(b"k", value + b"v")
        self.assertTrue(self.write_back.is_due())

    def test_counted_from_the_last_time(self) -> None:
        """What went with a commit a moment ago does not go again with the next one."""
        self.clock.advance(SECONDS)
        self.layers.stage(b"k", b"v")
        self.assertTrue(self.write_back.is_due())
        self.write_back.written()
        self.clock.advance(SECONDS - 0.5)
        self.assertFalse(self.write_back.is_due())
        self.clock.advance(0.5)
        self.assertTrue(self.write_back.is_due())

    def test_stop(self) -> None:
        """A node that has ended writes nothing more."""
        self.layers.stage(b"k", b"v")
        self.write_back.is_due()
        self.write_back.stop()
        self.write_back.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
