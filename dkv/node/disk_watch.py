"""Watches the disk of a node: is there room left, and does it still finish what it is given?

It looks at the file system a few times a second, for a fast disk may fill by a hundred megabytes meanwhile. It tells
the elector, which tells the other nodes: at once if there is news, else once a second. It also sees to the reserve
(``dkv.storage.room``). What it measures, and how, is handed in, so the simulator runs this same file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dkv import noted
from dkv.actor import HOST, TakesNotes
from dkv.events import DiskMeasured
from dkv.host.seams import Call, Clock
from dkv.settings import Limits
from dkv.storage.room import Room, wants_of

LOOK_SECONDS = 0.2
TELL_SECONDS = 1.0


class Keeps(Protocol):
    """A reserve, as ``dkv.storage.room.Reserve`` is one."""

    @property
    def held_bytes(self) -> int: ...

    def give_up_if_full(self, free_bytes: int) -> int: ...

    def make(self, size: int) -> bool: ...


class DiskWatch:
    """Looks at the disk with ``room()``, which may raise ``OSError``, and hands ``tell`` what it measures.

    ``commit_seconds()`` says for how long a commit has been under way; beyond ``stuck_seconds`` the disk hangs.
    """

    def __init__(
        self,
        clock: Clock,
        limits: Limits,
        stuck_seconds: float,
        room: Callable[[], Room],
        reserve: Keeps,
        commit_seconds: Callable[[], float],
        tell: Callable[[DiskMeasured], None],
        note: TakesNotes,
    ) -> None:
        self.measured: DiskMeasured | None = None
        """How much room there was at the last look; None if that could not be found out."""
        self.hangs = False
        """Whether a commit had been under way for too long at the last look."""
        self._clock = clock
        self._limits = limits
        self._stuck_seconds = stuck_seconds
        self._room = room
        self._reserve = reserve
        self._commit_seconds = commit_seconds
        self._tell = tell
        self._note = note
        self._short = False
        self._told_at = -TELL_SECONDS
        self._next: Call | None = None

    def start(self) -> None:
        """Look now, and then again and again."""
        self._look()

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _look(self) -> None:
        self._next = self._clock.callLater(LOOK_SECONDS, self._look)
        self._look_for_commits()
        try:
            room = self._room()
        except OSError:
            self.measured = None
            return  # Nothing is known, and nothing is said: the last word stops to count by itself.
        free = room.free_bytes
        wants = wants_of(self._limits, room.total_bytes)
        given = self._reserve.give_up_if_full(free)
        if given:
            free += given
            self._note(HOST, noted.reserve_given_up, free_bytes=free)
        elif self._reserve.held_bytes < wants.reserve and free >= wants.enough + wants.reserve:
            if self._reserve.make(wants.reserve):
                free -= wants.reserve
        before = self._short
        self._short = free < (wants.enough if before else wants.minimum)
        self.measured = DiskMeasured(free, wants.enough if self._short else wants.minimum, self._short)
        now = self._clock.seconds()
        if self._short != before or now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            self._tell(self.measured)

    def _look_for_commits(self) -> None:
        seconds = self._commit_seconds()
        hangs = seconds >= self._stuck_seconds
        if hangs != self.hangs:
            self.hangs = hangs
            if hangs:
                self._note(HOST, noted.disk_hangs, seconds=round(seconds, 3))
            else:
                self._note(HOST, noted.disk_works_again)
