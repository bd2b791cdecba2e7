"""How many keys there are is counted exactly, costs little, and stands in the way of nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.console.surroundings import Counted
from dkv.keys import APPLIED_THROUGH, BATCH_MARK, DATABASE, STATE, TOKEN, pack_number
from dkv.node import key_count
from dkv.node.key_count import REST_SECONDS_MIN, REST_TIMES, SHARE, KeyCount
from dkv.sim.memory import MemoryStore
from dkv.storage.store import RecordCorrupt, StoreFailed, StoreView

SLICE_SECONDS = 0.001


class TimedView:
    """A view whose reads take time, and which knows whether it is open; ``broken`` is raised by a read."""

    def __init__(self, view: StoreView, clock: Clock, broken: StoreFailed | None) -> None:
        self._view = view
        self._clock = clock
        self._broken = broken
        self.open = True
        self.get = view.get

    def read(self, after: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        assert self.open
        if self._broken is not None:
            raise self._broken
        self._clock.advance(SLICE_SECONDS)
        return self._view.read(after, bytes_max)

    def close(self) -> None:
        self.open = False
        self._view.close()


class TimedStore(MemoryStore):
    """A store whose views are remembered."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(auto=True)
        self._clock = clock
        self.views: list[TimedView] = []
        self.broken: StoreFailed | None = None

    def view(self) -> TimedView:  # type: ignore[override]  # a view of this test's own
        self.views.append(TimedView(super().view(), self._clock, self.broken))
        return self.views[-1]


class KeyCountTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.store = TimedStore(self.clock)
        self.failures: list[StoreFailed] = []
        self.short = False
        self.count = KeyCount(self.clock, lambda: self.store, lambda: self.short, self.failures.append)

    def write(self, pairs: dict[bytes, bytes], applied_through: int = 7) -> None:
        """A state with these keys of users, and with what else a state holds."""
        others = {
            APPLIED_THROUGH: pack_number(applied_through),
            BATCH_MARK + b"x": b"1",
            TOKEN + b"Pa": b"2",
        }
        state = {STATE + DATABASE + key: value for key, value in pairs.items()}
        self.store.commit(others | state, lambda failure: self.assertIsNone(failure))

    def run_until_counted(self) -> Counted:
        before = self.count.counted
        for _ in range(10_000):
            if self.count.counted not in (None, before):
                break
            self.clock.advance(self.clock.getDelayedCalls()[0].getTime() - self.clock.seconds())
        assert self.count.counted is not None
        return self.count.counted

    def test_counts(self) -> None:
        """Only keys of users count, with the slot after which there were so many."""
        self.write({b"a": b"1", b"bb": b"22"})
        self.count.start()
        counted = self.run_until_counted()
        self.assertEqual((counted.keys, counted.live_bytes, counted.applied_through), (2, 2 * 2 + 3 + 3, 7))
        self.assertFalse(self.store.views[0].open)

    @given(st.dictionaries(st.binary(max_size=4), st.binary(max_size=9), max_size=40), st.integers(1, 60))
    def test_in_slices(self, pairs: dict[bytes, bytes], slice_bytes: int) -> None:
        """A key on the border of two slices counts once; no key at all is a count too."""
        self.setUp()
        self.write(pairs)
        self.patch(key_count, "SLICE_BYTES", slice_bytes)
        self.count.start()
        self.assertEqual(self.run_until_counted().keys, len(pairs))

    def test_one_moment(self) -> None:
        """What is written while it counts belongs to the next count."""
        self.patch(key_count, "SLICE_BYTES", 1)
        self.write({b"%d" % number: b"" for number in range(5)})
        self.count.start()
        for _ in range(3):
            self.clock.advance(1.0)
        self.write({b"%d" % number: b"" for number in range(50)}, 8)
        self.assertEqual(self.run_until_counted().keys, 5)
        counted = self.run_until_counted()
        self.assertEqual((counted.keys, counted.applied_through), (50, 8))

    def test_pace(self) -> None:
        """A count of a large state takes its share of the node's time, and does not begin again at once."""
        self.patch(key_count, "SLICE_BYTES", 1)
        self.write({b"%03d" % number: b"" for number in range(500)})
        self.count.start()
        took = self.run_until_counted().at
        self.assertLess(abs(took - 501 * SLICE_SECONDS / SHARE), 2 * SLICE_SECONDS / SHARE)
        (rest,) = self.clock.getDelayedCalls()
        self.assertAlmostEqual(rest.getTime() - took, REST_TIMES * took)
        self.store = TimedStore(self.clock)
        self.write({b"a": b""})
        at = self.run_until_counted().at
        (rest,) = self.clock.getDelayedCalls()
        self.assertAlmostEqual(rest.getTime() - at, REST_SECONDS_MIN)

    def test_another_generation(self) -> None:
        """A state that a snapshot has replaced cannot be erased while it is read: it is let go at once."""
        self.patch(key_count, "SLICE_BYTES", 1)
        self.write({b"%d" % number: b"" for number in range(9)})
        self.count.start()
        self.clock.advance(1.0)
        old, self.store = self.store, TimedStore(self.clock)
        self.write({b"only": b"1"})
        self.assertEqual(self.run_until_counted().keys, 1)
        self.assertFalse(old.views[0].open)

    def test_damage(self) -> None:
        """Damage ends the node, whoever reads it."""
        self.store.broken = RecordCorrupt("a block is damaged")
        self.count.start()
        self.clock.advance(0)
        self.assertEqual(self.failures, [self.store.broken])
        self.assertFalse(self.store.views[0].open)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """A view that is open when the database is closed would crash the process."""
        self.count.stop()
        self.patch(key_count, "SLICE_BYTES", 1)
        self.write({b"%d" % number: b"" for number in range(9)})
        self.count.start()
        self.clock.advance(0)
        self.count.stop()
        self.assertFalse(self.store.views[0].open)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_disk_that_is_short_of_space(self) -> None:
        """LevelDB keeps for an open view what was erased since: what clients delete now must make room."""
        self.short = True
        self.count.start()
        self.clock.advance(0)
        self.assertEqual(self.store.views, [])
        self.short = False
        self.clock.advance(REST_SECONDS_MIN)
        self.assertEqual(len(self.store.views), 1)
