"""Gives space back to the disk: what was erased takes room until LevelDB merges it away, which it does when it writes.

A node that erases much and then writes little would keep all of it for ever. So whenever a database has little to do,
or the disk is short of space, LevelDB is told to merge the range in which keys were erased. That is done on a thread of
its own (``dkv.storage.leveldb``). A merge needs room for old and new tables before it gives any back, so there is one
at a time, and the database where most was erased comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dkv.host.seams import Call, Clock

LOOK_SECONDS = 5.0
COMMITS_FEW = 100
"""With fewer commits between two looks a database has little to do."""

ERASED_MANY = 1_000
"""For fewer erased keys it is left alone, while there is room."""


class Erasing(Protocol):
    """A database, as ``LevelDBStore`` is one."""

    @property
    def commits(self) -> int: ...

    @property
    def erased(self) -> int: ...

    @property
    def giving_back(self) -> bool: ...

    def give_back(self) -> None: ...


class ErasedSpace:
    """Looks after ``databases()``. ``short()`` says whether the disk is short of space."""

    def __init__(self, clock: Clock, databases: Callable[[], list[Erasing]], short: Callable[[], bool]) -> None:
        self._clock = clock
        self._databases = databases
        self._short = short
        self._commits: list[int] = []  # of each database, at the last look
        self._next: Call | None = None

    def start(self) -> None:
        """Look in a while, and then again and again."""
        self._next = self._clock.callLater(LOOK_SECONDS, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _look(self) -> None:
        self.start()
        databases, short = self._databases(), self._short()
        before = self._commits or [0] * len(databases)
        self._commits = [database.commits for database in databases]
        wanting = []
        for database, commits in zip(databases, before, strict=True):
            idle = 0 <= database.commits - commits < COMMITS_FEW and database.erased >= ERASED_MANY
            if idle or (short and database.erased):
                wanting.append(database)
        if wanting and not any(database.giving_back for database in databases):
            max(wanting, key=lambda database: database.erased).give_back()
