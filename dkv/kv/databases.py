"""The databases: which *space* of stored keys each one has, how many keys are there, and what is left of flushed ones.

A space is a byte in front of every stored key. Database n begins with space n. To flush a database is to give it an
empty space, whatever it holds: the old space is nobody's from then on, and its keys are erased in later slots
(``dkv.kv.erasure``). A space with nothing left in it can be given out again.

All this is one pair of the state, key ``U``. Its value, big-endian:

======================= ================================================================================
bytes                   meaning
======================= ================================================================================
1                       how many rows of databases follow, in the order of their numbers
26 for each             database, space, keys, keys with a deadline, slot of the last flush
9 for each of the rest  a flushed space and how many keys are left there, in the order of the spaces
======================= ================================================================================

A database that has its first space, no keys and no flush behind it has no row. If none has, and nothing is left of a
flushed one, there is no such pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from dkv.kv.codes import DATABASES

SPACES = 256

_ROW = Struct(">BBQQQ")
_FLUSHED = Struct(">BQ")


@dataclass(slots=True)
class Database:
    """One database.

    ``keys`` are those that its space holds, ``mortal`` those of them with a deadline. ``flushed`` is the slot of its
    last flush, 0 if there was none.
    """

    space: int
    keys: int = 0
    mortal: int = 0
    flushed: int = 0


class Databases:
    """All databases, by number. ``flushed`` has the spaces that are to be erased, and how many keys each one has."""

    def __init__(self) -> None:
        self.numbered = [Database(number) for number in range(DATABASES)]
        self.flushed: dict[int, int] = {}

    @property
    def stored(self) -> int:
        """How many keys there are in all spaces, with those that are to be erased."""
        return sum(database.keys for database in self.numbered) + sum(self.flushed.values())

    def number_of(self, space: int) -> int | None:
        """The database that has this space; None if it is flushed or free."""
        for number, database in enumerate(self.numbered):
            if database.space == space:
                return number
        return None

    def spaces(self) -> tuple[int, ...]:
        """The space of each database, in order."""
        return tuple(database.space for database in self.numbered)

    def flush(self, numbers: range, slot: int) -> bool:
        """Let these databases be empty; False, and nothing is done, if there are not enough free spaces for that.

        One that holds nothing stays as it is.
        """
        full = [self.numbered[number] for number in numbers if self.numbered[number].keys]
        used = {database.space for database in self.numbered} | self.flushed.keys()
        free = [space for space in range(SPACES) if space not in used]
        if len(full) > len(free):
            return False
        for database, space in zip(full, free, strict=False):
            self.flushed[database.space] = database.keys
            database.space, database.keys, database.mortal, database.flushed = space, 0, 0, slot
        return True

    def erased(self, space: int) -> None:
        """A key of a flushed space is erased. With its last one the space is free."""
        self.flushed[space] -= 1
        if self.flushed[space] == 0:
            del self.flushed[space]

    def pack(self) -> bytes:
        """The stored form; empty if all is as it was in the beginning, and nothing is stored."""
        rows = [
            _ROW.pack(number, database.space, database.keys, database.mortal, database.flushed)
            for number, database in enumerate(self.numbered)
            if database.keys or database.flushed or database.space != number
        ]
        left = [_FLUSHED.pack(space, keys) for space, keys in sorted(self.flushed.items())]
        return bytes((len(rows),)) + b"".join(rows) + b"".join(left) if rows or left else b""


def unpack_databases(stored: bytes) -> Databases:
    """What ``Databases.pack`` has stored; ``ValueError`` or ``struct.error`` if it is anything else."""
    databases = Databases()
    if not stored:
        raise ValueError("nothing is stored in such a case")
    rows_end = 1 + stored[0] * _ROW.size
    for number, *row in _ROW.iter_unpack(stored[1:rows_end]):
        if number >= DATABASES:
            raise ValueError(f"there is no database {number}")
        databases.numbered[number] = Database(*row)
    databases.flushed = dict(_FLUSHED.iter_unpack(stored[rows_end:]))
    if databases.pack() != stored:
        raise ValueError("the databases have another stored form")
    return databases
