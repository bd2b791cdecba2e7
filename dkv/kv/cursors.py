"""The cursors of SCAN: numbers that clients hand back, and where the page behind each of them begins.

They are kept in the memory of one node, and are no part of the state. A node that does not know a cursor says so: a
client then begins anew, and misses nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from random import Random

from dkv.settings import MIB

CURSORS_MAX = 10_000
CURSOR_BYTES_MAX = 4 * MIB
"""How many cursors are kept, and how many bytes their keys may have together. The oldest ones go first."""

_NUMBER_BITS = 53
"""Every client can hold so large a number, also one that has floating point numbers only."""


@dataclass(slots=True)
class _Cursor:
    """The page has keys of a database from ``begin`` on. The client got it for the cursor ``before``."""

    db: int
    begin: bytes
    before: int


class Cursors:
    """A client may hand back a cursor again and again. Those that it has passed are the first that are forgotten."""

    def __init__(self) -> None:
        self._cursors: OrderedDict[int, _Cursor] = OrderedDict()
        self._bytes = 0

    def find(self, number: int, db: int) -> bytes | None:
        """Where the page begins, b"" for the first key; None if this is no cursor of the database."""
        if number == 0:
            return b""
        cursor = self._cursors.get(number)
        if cursor is None or cursor.db != db:
            return None
        if cursor.before in self._cursors:  # The client has got the reply to that one: it will not ask again.
            self._cursors.move_to_end(cursor.before, last=False)
        return cursor.begin

    def make(self, random: Random, before: int, db: int, begin: bytes) -> int:
        """A new cursor, for one who handed in ``before``."""
        number = 0
        while number == 0 or number in self._cursors:
            number = random.getrandbits(_NUMBER_BITS)
        self._cursors[number] = _Cursor(db, begin, before)
        self._bytes += len(begin)
        while len(self._cursors) > CURSORS_MAX or (self._bytes > CURSOR_BYTES_MAX and len(self._cursors) > 1):
            _, forgotten = self._cursors.popitem(last=False)
            self._bytes -= len(forgotten.begin)
        return number
