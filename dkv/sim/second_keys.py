"""The keys of all databases a second time, in the plainest form: dictionaries that are searched through whole.

What the disk must hold for them is told to ``write``, in forms that are written down a second time as well. When dead
keys are erased is part of that: all nodes must do it in the same slots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from hashlib import blake2b
from re import split
from struct import pack, unpack_from
from sys import maxsize
from typing import NamedTuple

from dkv.kv import erasure, keyspace
from dkv.kv.appliers import iteration
from dkv.kv.codes import DATABASES

Write = Callable[[bytes, bytes | None], None]
DEADLINE_MAX = 2**63 - 1
ABSENT = (0, 0)
LETTERS = {b"expired": b"x", b"new": b"n"} | dict.fromkeys(
    (b"set", b"append", b"incrby", b"incrbyfloat", b"setrange"), b"$"
)
"""The letters of events, where it is not ``g``."""


class StoredKey(NamedTuple):
    """A value, its deadline (0 is none), and its revision: the slot and the index of the entry that wrote it."""

    value: bytes
    deadline: int
    revision: tuple[int, int]

    def packed(self) -> bytes:
        """As the disk has it."""
        if self.deadline:
            return pack(">BQIQ", 0x80, *self.revision, self.deadline) + self.value
        return pack(">BQI", 0, *self.revision) + self.value


def _matches(key: bytes, pattern: bytes) -> bool:
    """Whether a key is as the pattern says; Redis's patterns mean the same as those of files, without escapes."""
    return fnmatchcase(key.decode("latin-1"), pattern.decode("latin-1"))


def _unpacked(data: bytes) -> StoredKey:
    _, slot, index = unpack_from(">BQI", data)
    if data[0] == 0:
        return StoredKey(data[13:], 0, (slot, index))
    return StoredKey(data[21:], unpack_from(">Q", data, 13)[0], (slot, index))


class SecondKeys:
    """All that is stored, by space and key; the databases; the time; and the place of the entry at hand."""

    def __init__(self, write: Write = lambda key, value: None) -> None:
        self.time = self.slot = self.index = 0
        self.seen = 0
        """The last slot whose changes have all been applied."""
        self.stored: dict[tuple[int, bytes], StoredKey] = {}
        self.spaces = list(range(DATABASES))
        """The space of each database."""
        self.flushed = [0] * DATABASES
        """The slot in which each database was flushed last."""
        self.flushes_of_first: list[int] = []
        """The slot of each flush that has taken keys from database 0."""
        self.marks: dict[bytes, int] = {}
        """The last slot that erased a key of each bucket."""
        self.letters = b""
        """Which events are told."""
        self.told: list[tuple[bytes, int, bytes, bytes]] = []
        """The events of the slot at hand: the letters then, the database, the event and the key."""
        self.written: list[tuple[bytes, bytes | None]] = []
        self._left: set[int] = set()
        self._table = b""
        self._write = write

    # --- transactions ---

    def copy(self) -> SecondKeys:
        """The same keys, to try something with: what it writes is kept in ``written``."""
        tried = SecondKeys(lambda key, value: tried.written.append((key, value)))
        tried._take_over(self)
        return tried

    def become(self, tried: SecondKeys) -> None:
        """Be as the copy has become, and write what it has written."""
        self._take_over(tried)
        self.flushes_of_first += tried.flushes_of_first
        for key, value in tried.written:
            self._write(key, value)

    def _take_over(self, other: SecondKeys) -> None:
        self.time, self.slot, self.index, self.seen = other.time, other.slot, other.index, other.seen
        self.stored, self.marks = dict(other.stored), dict(other.marks)
        self.spaces, self.flushed = list(other.spaces), list(other.flushed)
        self._left, self._table = set(other._left), other._table
        self.letters, self.told = other.letters, list(other.told)

    # --- slots ---

    def begin_slot(self, slot: int, stamp: int) -> None:
        """The next slot: the time moves, and a bounded number of dead keys is erased."""
        self.slot, self.index, self.seen = slot, 0, slot - 1
        if stamp > self.time:
            self.time = stamp
            self._write(b"L", pack(">Q", stamp))
        room = erasure.ERASED_MAX
        for _, space, key in self._dead()[:room]:
            room -= 1
            self._forget(space, key)
            if space in self.spaces:
                self.tell(self.spaces.index(space), b"expired", key)
        size = 0
        while self._left and room and size < erasure.ERASED_BYTES_MAX:
            space = min(self._left)
            page = sorted(key for held, key in self.stored if held == space)[: min(room, erasure.PAGE_KEYS)]
            room -= len(page)
            for key in page:
                size += len(self.stored[space, key].packed())
                self._forget(space, key)
        self.settle()

    def settle(self) -> None:
        """Write the table of the databases, if it has changed."""
        table = self._packed_table()
        if table != self._table:
            self._table = table
            self._write(b"U", table or None)

    def _packed_table(self) -> bytes:
        rows = []
        for db, space in enumerate(self.spaces):
            deadlines = [each.deadline for (held, _), each in self.stored.items() if held == space]
            row = (db, space, len(deadlines), sum(each > 0 for each in deadlines), self.flushed[db])
            if row != (db, db, 0, 0, 0):
                rows.append(pack(">BBQQQ", *row))
        left = [pack(">BQ", space, sum(held == space for held, _ in self.stored)) for space in sorted(self._left)]
        return bytes((len(rows),)) + b"".join(rows + left) if rows or left else b""

    def _dead(self) -> list[tuple[int, int, bytes]]:
        """(deadline, space, key) of all stored keys that have expired, in that order."""
        return sorted(
            (each.deadline, space, key)
            for (space, key), each in self.stored.items()
            if each.deadline and each.deadline <= self.time
        )

    def _forget(self, space: int, key: bytes) -> None:
        each = self.stored.pop((space, key))
        name = bytes((space,)) + key
        self._write(b"S" + name, None)
        if each.deadline:
            self._write(b"E" + pack(">Q", each.deadline) + name, None)
        if space in self.spaces:
            if self.time:
                self.marks[self._bucket(self.spaces.index(space), key)] = self.slot
                self._write(b"Z" + self._bucket(self.spaces.index(space), key), pack(">Q", self.slot))
        elif not any(held == space for held, _ in self.stored):
            self._left.discard(space)

    def _bucket(self, db: int, key: bytes) -> bytes:
        return blake2b(bytes((db,)) + key, digest_size=2).digest()

    # --- events ---

    def want(self, letters: bytes) -> None:
        """These are told from here on."""
        self.letters = letters
        self._write(b"n", letters or None)

    def tell(self, db: int, event: bytes, key: bytes) -> None:
        """This has happened, whether somebody wants to know or not."""
        letter = LETTERS.get(event, b"g")
        if letter in self.letters or (b"A" in self.letters and letter != b"n"):
            self.told.append((self.letters, db, event, key))

    # --- what commands do ---

    def is_stored(self, db: int, key: bytes) -> bool:
        """Whether something is stored for a key, which may be dead."""
        return (self.spaces[db], key) in self.stored

    def get(self, db: int, key: bytes) -> StoredKey | None:
        """A key that exists."""
        each = self.stored.get((self.spaces[db], key))
        return each if each is not None and (not each.deadline or each.deadline > self.time) else None

    def set(self, db: int, key: bytes, value: bytes, deadline: int = 0) -> None:
        """Store a value; a deadline that has passed erases the key."""
        if deadline and deadline <= self.time:
            self.erase(db, key)
            return
        space = self.spaces[db]
        name = bytes((space,)) + key
        before = self.stored.get((space, key))
        each = StoredKey(value, min(deadline, DEADLINE_MAX), (self.slot, self.index))
        if before is not None and before.deadline and before.deadline != each.deadline:
            self._write(b"E" + pack(">Q", before.deadline) + name, None)
        if each.deadline:
            self._write(b"E" + pack(">Q", each.deadline) + name, b"")
        self.stored[space, key] = each
        self._write(b"S" + name, each.packed())

    def erase(self, db: int, key: bytes) -> bool:
        """Erase a key, and say whether it existed."""
        existed = self.get(db, key) is not None
        if (self.spaces[db], key) in self.stored:
            self._forget(self.spaces[db], key)
        return existed

    def flush(self, numbers: Iterable[int]) -> bool:
        """Empty these databases; False, and nothing is done, if no spaces are left for them."""
        full = [db for db in numbers if any(held == self.spaces[db] for held, _ in self.stored)]
        free = [space for space in range(256) if space not in self._left and space not in self.spaces]
        if len(free) < len(full):
            return False
        self.flushes_of_first += [self.slot] * (0 in full)
        for db, space in zip(full, free, strict=False):
            self._left.add(self.spaces[db])
            self.spaces[db], self.flushed[db] = space, self.slot
        return True

    def counts(self, db: int) -> tuple[int, int]:
        """How many keys a database has, and how many of them have a deadline; few that are dead are not counted."""
        each_of_it = [each for (held, _), each in self.stored.items() if held == self.spaces[db]]
        dead = sum(space == self.spaces[db] for _, space, _ in self._dead()[: keyspace.BACKLOG_MAX])
        return len(each_of_it) - dead, sum(each.deadline > 0 for each in each_of_it) - dead

    def due(self) -> int:
        """The time at which a slot is wanted though nobody writes: 0 at once, ``maxsize`` never."""
        nearest = min((each.deadline for each in self.stored.values() if each.deadline), default=maxsize)
        is_left = any(space not in self.spaces for space, _ in self.stored)
        return 0 if is_left or nearest <= self.time else nearest

    def matching(self, db: int, pattern: bytes) -> list[bytes]:
        """The keys that match, in order."""
        names = sorted(key for space, key in self.stored if space == self.spaces[db])
        return [key for key in names if self.get(db, key) is not None and _matches(key, pattern)]

    def are_too_many(self, db: int, pattern: bytes) -> bool:
        """Whether so many keys are stored that begin as the pattern does that they are not looked at in one turn."""
        beginning = split(rb"[*?[\\]", pattern)[0]
        mine = {key: each for (space, key), each in self.stored.items() if space == self.spaces[db]}
        looked_at = [(key, each.packed()) for key, each in mine.items() if key.startswith(beginning)]
        return (
            len(looked_at) >= iteration.KEYS_AT_ONCE
            or sum(len(key) for key, _ in looked_at) >= iteration.KEY_BYTES_AT_ONCE
            or sum(2 + len(key) + len(stored) for key, stored in looked_at) >= iteration.PAGE_BYTES
        )

    def is_as_it_was(self, db: int, key: bytes, revision: tuple[int, int], seen: int) -> bool:
        """Whether a key has not changed since a WATCH that has ``seen`` all changes up to this slot."""
        held = self.get(db, key)
        if held is not None or revision != ABSENT:
            return held is not None and held.revision == revision
        unmarked = self.stored.get((self.spaces[db], key))
        gone = max(self.marks.get(self._bucket(db, key), 0), self.flushed[db])
        return max(gone, unmarked.revision[0] if unmarked is not None else 0) <= seen


def keys_of(state: Mapping[bytes, bytes], slot: int) -> SecondKeys:
    """The keys as a state that a disk holds has them, once slot ``slot`` is applied."""
    keys = SecondKeys()
    keys.slot = keys.seen = slot
    keys.time = unpack_from(">Q", state[b"L"])[0] if b"L" in state else 0
    keys.stored = {(key[1], key[2:]): _unpacked(value) for key, value in state.items() if key[:1] == b"S"}
    keys.marks = {key[1:]: unpack_from(">Q", value)[0] for key, value in state.items() if key[:1] == b"Z"}
    table = state.get(b"U", b"\0")
    for row in range(table[0]):
        db, space, _, _, flushed = unpack_from(">BBQQQ", table, 1 + 26 * row)
        keys.spaces[db], keys.flushed[db] = space, flushed
    return keys
