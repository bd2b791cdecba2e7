"""Space on the disk of a data directory: how much there is, how much is wanted, and a reserve to give up.

LevelDB needs room even to start, since it writes what its logs hold into a new table, and to erase, since an erased key
is first of all a new one. On a full disk it could do neither, and no command could help. So a node keeps a file,
``reserve``, that holds nothing. It gives the file up when the disk is about to be full, and makes it again later.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import NamedTuple

from dkv.settings import Limits

RESERVE_NAME = "reserve"
DISK_SHARE_MAX = 0.2
"""The two settings are for disks of many gigabytes. On a smaller one each counts as this share of the disk at most."""

ENOUGH = 1.25
"""A disk that is short of space has enough again when it has this many times its minimum: else it would flap."""

FULL = 0.5
"""When less than this share of the reserve is free, the disk counts as full, and the reserve is given up."""


class Room(NamedTuple):
    """The bytes of a file system: those that this user may still fill, and all."""

    free_bytes: int
    total_bytes: int


def room_of(directory: str) -> Room:
    """The room of the file system that ``directory`` is on; ``OSError`` if that cannot be found out."""
    found = os.statvfs(directory)
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


class Wants(NamedTuple):
    """How many bytes a node wants on its disk: free at least, free for ``enough`` after a shortage, and in reserve."""

    minimum: int
    enough: int
    reserve: int


def wants_of(limits: Limits, total_bytes: int) -> Wants:
    """The wants of a node on a disk of ``total_bytes``."""
    share = int(total_bytes * DISK_SHARE_MAX)
    minimum = min(limits.disk_free_bytes_min, share)
    return Wants(minimum, int(minimum * ENOUGH), min(limits.disk_reserve_bytes, share))


def make_room(directory: str) -> int:
    """Before a start: give the reserve up if the disk is full. Returns the bytes free then, 0 if nothing was done."""
    try:
        free = room_of(directory).free_bytes
    except OSError:  # no such directory, perhaps: whoever opens it will say so
        return 0
    given = Reserve(directory).give_up_if_full(free)
    return free + given if given else 0


class Reserve:
    """The file in ``directory`` that is given up when the disk is full."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, RESERVE_NAME)

    @property
    def held_bytes(self) -> int:
        """The size of the file; 0 if there is none."""
        try:
            return os.stat(self._path).st_size
        except OSError:
            return 0

    def give_up_if_full(self, free_bytes: int) -> int:
        """Remove the file if the disk is full; how many bytes that gives back, 0 if nothing was done."""
        held = self.held_bytes
        if not held or free_bytes >= held * FULL:
            return 0
        try:
            os.unlink(self._path)
        except OSError:  # a read-only file system: what is to be written next will say so
            return 0
        return held

    def make(self, size: int) -> bool:
        """Make the file with ``size`` bytes that the disk has really set aside; False if it could not."""
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
                return True
            except OSError:  # no room after all: a part of a reserve would only take room away
                os.unlink(self._path)
            finally:
                os.close(descriptor)
        return False
