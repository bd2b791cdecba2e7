"""Space on a disk: what is wanted of it, and the reserve that keeps a full one from preventing a start."""

from __future__ import annotations

import os
import stat
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import MIB, Limits
from dkv.storage.room import DISK_SHARE_MAX, RESERVE_NAME, Reserve, Room, Wants, make_room, room_of, wants_of

GIB = 1024 * MIB


class WantsTests(SynchronousTestCase):
    def test_on_a_large_disk(self) -> None:
        """The settings count as they are."""
        self.assertEqual(wants_of(Limits(), 500 * GIB), Wants(256 * MIB, 320 * MIB, 64 * MIB))

    def test_on_a_small_disk(self) -> None:
        """A disk of 100 MiB could never have 256 MiB free, and every write would be refused."""
        self.assertEqual(wants_of(Limits(), 100 * MIB), Wants(20 * MIB, 25 * MIB, 20 * MIB))

    def test_off(self) -> None:
        """Without a bound no write is refused, and without a reserve there is none."""
        self.assertEqual(wants_of(Limits(disk_free_bytes_min=0, disk_reserve_bytes=0), GIB), Wants(0, 0, 0))

    @given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 2**50))
    def test_leaves_most_of_the_disk(self, minimum: int, reserve: int, total: int) -> None:
        """On any disk more than half is for data, and a shortage ends later than it begins."""
        wants = wants_of(Limits(disk_free_bytes_min=minimum, disk_reserve_bytes=reserve), total)
        self.assertLessEqual(wants.enough + wants.reserve, total * DISK_SHARE_MAX * 2.25)
        self.assertTrue(wants.minimum <= wants.enough)


class ReserveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, RESERVE_NAME)
        self.reserve = Reserve(self.directory)

    def test_really_set_aside(self) -> None:
        """A file with a hole would set nothing aside; and it is the user's alone, as every file of a directory."""
        self.assertEqual(self.reserve.held_bytes, 0)
        self.assertTrue(self.reserve.make(MIB))
        self.assertEqual(self.reserve.held_bytes, MIB)
        found = os.stat(self.path)
        self.assertGreaterEqual(found.st_blocks * 512, MIB)
        self.assertEqual(stat.S_IMODE(found.st_mode), 0o600)

    def test_given_up_on_a_full_disk_alone(self) -> None:
        """It is there for the moment when nothing else helps, not for every shortage."""
        self.reserve.make(MIB)
        self.assertEqual(self.reserve.give_up_if_full(MIB // 2), 0)
        self.assertEqual(self.reserve.held_bytes, MIB)
        self.assertEqual(self.reserve.give_up_if_full(MIB // 2 - 1), MIB)
        self.assertEqual(os.listdir(self.directory), [])
        self.assertEqual(self.reserve.give_up_if_full(0), 0, "there is nothing left to give up")

    def test_no_room_for_it(self) -> None:
        """A part of a reserve would only make a full disk fuller."""
        with mock.patch("os.posix_fallocate", side_effect=OSError(28, "No space left on device")):
            self.assertFalse(self.reserve.make(MIB))
        self.assertEqual(os.listdir(self.directory), [])

    def test_another_size(self) -> None:
        """An operator who changes the setting gets what it says."""
        self.reserve.make(MIB)
        self.assertTrue(self.reserve.make(2 * MIB))
        self.assertEqual(self.reserve.held_bytes, 2 * MIB)

    def test_a_read_only_disk(self) -> None:
        """What the node is about to do will say what is wrong, better than the reserve could."""
        self.reserve.make(MIB)
        with mock.patch("os.unlink", side_effect=OSError(30, "Read-only file system")):
            self.assertEqual(self.reserve.give_up_if_full(0), 0)

    def test_before_a_start(self) -> None:
        """LevelDB needs room to open a database, so the reserve must be gone before that."""
        self.assertEqual(make_room(os.path.join(self.directory, "missing")), 0)
        self.reserve.make(MIB)
        self.assertEqual(make_room(self.directory), 0, "there is room")
        with mock.patch("dkv.storage.room.room_of", lambda directory: Room(4096, GIB)):
            self.assertEqual(make_room(self.directory), MIB + 4096)
        self.assertEqual(os.listdir(self.directory), [])

    def test_room(self) -> None:
        """A directory that is on a disk."""
        room = room_of(self.directory)
        self.assertTrue(0 < room.free_bytes <= room.total_bytes)
