"""Space that erased keys take is given back, when the database has little to do or the disk is short of space."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.node.erased_space import COMMITS_FEW, ERASED_MANY, LOOK_SECONDS, ErasedSpace


class Database:
    def __init__(self) -> None:
        self.commits = self.erased = self.given_back = 0
        self.giving_back = False

    def give_back(self) -> None:
        self.given_back += 1
        self.erased = 0


class ErasedSpaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        clock: Any = self.clock
        self.databases = [Database(), Database()]
        self.short = False
        self.erased_space = ErasedSpace(clock, lambda: [*self.databases], lambda: self.short)
        self.erased_space.start()

    def look(self, *commits: int, erased: tuple[int, int] = (0, 0)) -> list[int]:
        """The databases made so many more commits, and erased keys; to which of them something was done."""
        for database, each, keys in zip(self.databases, commits, erased, strict=True):
            database.commits += each
            database.erased += keys
            database.given_back = 0
        self.clock.advance(LOOK_SECONDS)
        return [database.given_back for database in self.databases]

    def test_when_there_is_little_to_do(self) -> None:
        """After a burst of deletes nothing else would make LevelDB merge."""
        self.assertEqual(self.look(0, 0), [0, 0])
        self.assertEqual(self.look(COMMITS_FEW - 1, 0, erased=(ERASED_MANY, ERASED_MANY - 1)), [1, 0])
        self.assertEqual(self.look(0, 0, erased=(0, 1)), [0, 1])
        self.assertEqual(self.look(0, 0), [0, 0])

    def test_not_when_it_is_at_work(self) -> None:
        """Clients would wait for the disk, and LevelDB merges by itself."""
        for _ in range(3):
            self.assertEqual(self.look(COMMITS_FEW, COMMITS_FEW, erased=(10**6, 10**6)), [0, 0])
        self.assertEqual(self.look(0, COMMITS_FEW), [1, 0])

    def test_when_the_disk_is_short_of_space(self) -> None:
        """Writes are refused until there is room: what a client deletes must make some, whatever else is under way."""
        self.short = True
        self.assertEqual(self.look(10_000, 10_000, erased=(1, 0)), [1, 0])

    def test_one_at_a_time(self) -> None:
        """Two merges at once would need twice the room, of which there is little; the larger one comes first."""
        self.short = True
        self.assertEqual(self.look(0, 0, erased=(1, 2)), [0, 1])
        self.databases[1].giving_back = True
        self.assertEqual(self.look(0, 0, erased=(0, 3)), [0, 0])
        self.databases[1].giving_back = False
        self.assertEqual(self.look(0, 0), [0, 1])
        self.assertEqual(self.look(0, 0), [1, 0])

    def test_another_database(self) -> None:
        """A snapshot has taken the place of the state: its counts begin anew."""
        self.look(0, 5_000)
        self.databases[1] = Database()
        self.assertEqual(self.look(0, 10, erased=(0, 10**6)), [0, 0])
        self.assertEqual(self.look(0, 10), [0, 1])

    def test_stop(self) -> None:
        """The databases are closed: nothing may be asked of them."""
        self.erased_space.stop()
        self.erased_space.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
