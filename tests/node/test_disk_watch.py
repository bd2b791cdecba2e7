"""The watch over a disk: what it says and when, when the reserve goes and comes back, and a disk that hangs."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import HOST, Note
from dkv.events import DiskMeasured
from dkv.node.disk_watch import LOOK_SECONDS, TELL_SECONDS, DiskWatch
from dkv.settings import Limits
from dkv.storage.room import FULL, Room

LIMITS = Limits(disk_free_bytes_min=1_000, disk_reserve_bytes=400)
TOTAL = 1_000_000


class FakeReserve:
    """A reserve on a disk whose room is ``disk.free``."""

    def __init__(self, disk: Disk) -> None:
        self.held_bytes = 0
        self._disk = disk

    def give_up_if_full(self, free_bytes: int) -> int:
        """As the real one."""
        given = self.held_bytes if free_bytes < self.held_bytes * FULL else 0
        self.held_bytes -= given
        self._disk.free += given
        return given

    def make(self, size: int) -> bool:
        """As the real one."""
        if self._disk.refuses:
            return False
        self._disk.free -= size - self.held_bytes
        self.held_bytes = size
        return True


class Disk:
    """A disk, its watch, and what the watch says of it."""

    def __init__(self, free: int, limits: Limits = LIMITS) -> None:
        self.free = free
        self.refuses = False
        self.broken = False
        self.commit_seconds = 0.0
        self.told: list[DiskMeasured] = []
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.clock = Clock()
        self.reserve = FakeReserve(self)
        self.watch = DiskWatch(
            self.clock, limits, 3.0, self.room, self.reserve, lambda: self.commit_seconds, self.told.append, self.note
        )

    def room(self) -> Room:
        """How much is free, if that can be found out."""
        if self.broken:
            raise OSError(5, "Input/output error")
        return Room(self.free, TOTAL)

    def note(self, actor: str, event: Note[...], /, *_: Any, **fields: Any) -> None:
        """The host notes something."""
        assert actor == HOST
        self.notes.append((event.name, fields))

    def look(self) -> DiskMeasured:
        """The next look; what it finds."""
        self.clock.advance(LOOK_SECONDS)
        assert self.watch.measured is not None
        return self.watch.measured


class RoomTests(SynchronousTestCase):
    def begin(self, free: int, limits: Limits = LIMITS) -> Disk:
        """A watch that has begun."""
        disk = Disk(free, limits)
        disk.watch.start()
        return disk

    def test_at_once_and_again(self) -> None:
        """A node that starts on a disk without room must say so before it writes anything."""
        disk = self.begin(500)
        self.assertEqual(disk.told, [DiskMeasured(500, 1_250, True)])
        self.assertEqual(disk.watch.measured, disk.told[-1])
        for _ in range(20):
            disk.clock.advance(TELL_SECONDS / 4)
        self.assertEqual(len(disk.told), 6, "a word that is not repeated counts no more")

    def test_news_at_once(self) -> None:
        """While a node waits to say that its disk is short, all nodes go on filling it."""
        disk = self.begin(5_000)
        disk.free = 700
        disk.look()
        self.assertEqual([word.short for word in disk.told], [False, True])
        disk.free = 5_000
        disk.look()
        self.assertEqual([word.short for word in disk.told], [False, True, False])

    def test_stopped(self) -> None:
        """A node that has stopped must not touch its directory: the next one may have it."""
        disk = self.begin(5_000)
        disk.watch.stop()
        self.assertEqual(disk.clock.getDelayedCalls(), [])

    def test_no_flapping(self) -> None:
        """Short below the minimum, and not before a quarter more is free no longer."""
        disk = self.begin(1_000, Limits(disk_free_bytes_min=1_000, disk_reserve_bytes=0))
        seen = []
        for disk.free in (1_000, 999, 1_000, 1_249, 1_250, 1_000, 999):
            seen.append(disk.look().short)
        self.assertEqual(seen, [False, True, True, True, False, False, True])

    def test_reserve_made(self) -> None:
        """Only where room is left besides: a reserve must not bring the shortage that it is for."""
        disk = self.begin(1_649)
        self.assertEqual(disk.reserve.held_bytes, 0)
        disk.free = 1_650
        self.assertEqual(disk.look(), DiskMeasured(1_250, 1_000, False))
        self.assertEqual(disk.reserve.held_bytes, 400)
        self.assertEqual(disk.look(), DiskMeasured(1_250, 1_000, False))

    def test_reserve_not_made(self) -> None:
        """A disk that takes no reserve is a disk like any other."""
        disk = Disk(5_000)
        disk.refuses = True
        disk.watch.start()
        self.assertEqual(disk.told, [DiskMeasured(5_000, 1_000, False)])

    def test_reserve_given_up(self) -> None:
        """What is left must be enough for erasures, and the log says what became of the reserve."""
        disk = self.begin(5_000)
        disk.free = 200
        self.assertTrue(disk.look().short)
        self.assertEqual(disk.reserve.held_bytes, 400)
        disk.free = 199
        self.assertEqual(disk.look(), DiskMeasured(599, 1_250, True))
        self.assertEqual(disk.notes, [("reserve_given_up", {"free_bytes": 599})])

    def test_unknown(self) -> None:
        """A disk that cannot be looked at is neither full nor empty: the node says nothing."""
        disk = self.begin(5_000)
        disk.broken = True
        disk.clock.advance(LOOK_SECONDS)
        self.assertEqual((len(disk.told), disk.watch.measured), (1, None))
        disk.clock.advance(TELL_SECONDS)
        self.assertEqual(len(disk.told), 1)
        disk.broken = False
        self.assertFalse(disk.look().short)

    @given(st.lists(st.integers(-700, 700), max_size=40))
    def test_the_reserve_never_brings_a_shortage(self, changes: list[int]) -> None:
        """However a disk fills and clears: what the watch does itself never turns enough into too little."""
        disk = self.begin(2_000)
        for change in changes:
            disk.free = max(0, disk.free + change)
            before = disk.free
            word = disk.look()
            self.assertEqual(word.free_bytes, disk.free)
            if before >= 1_250:
                self.assertFalse(word.short)
            if disk.free < 1_000:
                self.assertTrue(word.short)


class HangTests(SynchronousTestCase):
    def test_a_disk_that_hangs(self) -> None:
        """Two lines of the log, when it begins and when it ends; a slow commit is none."""
        disk = Disk(5_000)
        disk.watch.start()
        disk.commit_seconds = 2.9
        disk.look()
        self.assertEqual((disk.notes, disk.watch.hangs), ([], False))
        for disk.commit_seconds in (3.9, 4.9):
            disk.look()
        self.assertEqual((disk.notes, disk.watch.hangs), ([("disk_hangs", {"seconds": 3.9})], True))
        disk.commit_seconds = 0.0
        disk.look()
        self.assertEqual((disk.notes[1:], disk.watch.hangs), ([("disk_works_again", {})], False))
