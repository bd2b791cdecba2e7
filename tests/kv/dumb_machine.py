"""The state machine a second time, in the plainest form: dictionaries, and no stored form, index, count or erasure.

A key that is dead is gone at the beginning of the slot. Every change of a key is remembered for ever.
"""

from __future__ import annotations

from typing import Any

from dkv.kv.codes import (
    APPEND,
    DATABASES,
    DBSIZE,
    DELETE,
    ERASE,
    EXEC,
    EXTEND,
    FLUSHALL,
    FLUSHDB,
    GET,
    IDMP,
    KEYSPACE,
    PUT,
    READ,
    RELATIVE,
    SET,
    TIME,
    UNIFORM_FROM,
    WATCH,
)
from dkv.replies import ABORTED, OK, Watched

Name = tuple[int, bytes]
"""A database, and a key in it."""


class DumbMachine:
    """What the commands mean, an error being -1. ``slow`` says that the real machine erases few keys a slot."""

    def __init__(self, slow: bool = False) -> None:
        self.slow = slow
        self.time = self.slot = self.index = 0
        self.values: dict[Name, bytes] = {}
        self.deadlines: dict[Name, int] = {}
        self.revisions: dict[Name, tuple[int, int]] = {}
        self.changes: list[tuple[Name, int]] = []
        """Each key that came, changed or went, and the slot in which it did."""
        self.flushed: dict[int, int] = {}
        """The last slot that flushed a database with keys in it."""
        self.answers: dict[tuple[bytes, int], tuple[Any, Any]] = {}

    def begin_slot(self, slot: int, stamp: int) -> None:
        """The next slot: the time goes on, and whatever is dead by then is gone."""
        self.slot, self.index = slot, 0
        self.time = max(self.time, stamp)
        for name in [name for name, deadline in self.deadlines.items() if deadline <= self.time]:
            self._forget(name)

    def apply(self, entry: list[Any], real: Any) -> Any:
        """The result of one command; ``real`` is that of the real machine.

        It tells nothing but this: a machine that takes its time to erase what is dead may abort an EXEC in vain.
        """
        code = entry[0]
        if code == IDMP:
            _, producer, op, write = entry
            if (producer, op) not in self.answers:
                self.answers[producer, op] = write, self.apply(write, real)
            first, answer = self.answers[producer, op]
            return answer if is_same(first, write) else -1
        if code == EXEC:
            _, _, _, watched, entries = entry
            if any(self.has_changed(*each) for each in watched) or (self.slow and real == ABORTED):
                return ABORTED
            return [self.apply(each, None) for each in entries]
        if code < UNIFORM_FROM:
            code = {PUT: PUT, APPEND: EXTEND, DELETE: ERASE, GET: READ}[code]
            db, bytes_max, arguments = 0, entry[3] if entry[0] == APPEND else 0, entry[1:]
        else:
            _, db, bytes_max, *arguments = entry
        return self._do(code, db, bytes_max, arguments)

    def _do(self, code: int, db: int, bytes_max: int, arguments: list[Any]) -> Any:
        match code, arguments:
            case (1, [key, value]):
                self._set((db, key), value, 0)
                return OK
            case (code, [key, value, _, _, life, ms, _]) if code == SET:
                self._set((db, key), value, self.time + ms if life == RELATIVE else ms)
                return OK
            case (code, [key]) if code == READ:
                return self.values.get((db, key))
            case (code, [key, suffix, *_]) if code == EXTEND:
                value = self.values.get((db, key), b"") + suffix
                if len(value) > bytes_max:
                    return -1
                self._set((db, key), value, self.deadlines.get((db, key), 0))
                return len(value)
            case (code, keys) if code == ERASE:
                return sum(self._forget((db, key)) for key in keys)
            case (code, []) if code in (FLUSHDB, FLUSHALL):
                for each in range(DATABASES) if code == FLUSHALL else (db,):
                    for name in [name for name in self.values if name[0] == each]:
                        self._forget(name)
                        self.flushed[each] = self.slot
                return OK
            case (code, []) if code == DBSIZE:
                return sum(name[0] == db for name in self.values)
            case (code, []) if code == KEYSPACE:
                return self.counts()
            case (code, []) if code == TIME:
                return [b"%d" % (self.time // 1000), b"%d" % (self.time % 1000 * 1000)]
            case (code, keys) if code == WATCH:
                return Watched(self.slot, tuple(self.revisions.get((db, key), (0, 0)) for key in keys))
        raise AssertionError(f"no test makes an entry {code}")

    def has_changed(self, db: int, key: bytes, slot: int, index: int, seen: int) -> bool:
        """Whether the key is not what a WATCH has read, or was something else in between.

        A flush of a database that holds something is a change of all keys that it does not hold.
        """
        if self.revisions.get((db, key), (0, 0)) != (slot, index):
            return True
        changed = any(name == (db, key) and when > seen for name, when in self.changes)
        return (slot, index) == (0, 0) and (changed or self.flushed.get(db, 0) > seen)

    def counts(self) -> list[list[int]]:
        """As KEYSPACE tells them."""
        found = []
        for db in range(DATABASES):
            keys = [name for name in self.values if name[0] == db]
            if keys:
                found.append([db, len(keys), sum(name in self.deadlines for name in keys)])
        return found

    def _set(self, name: Name, value: bytes, deadline: int) -> None:
        self._forget(name)
        if deadline and deadline <= self.time:
            return
        self.values[name] = value
        self.revisions[name] = (self.slot, self.index)
        if deadline:
            self.deadlines[name] = deadline
        self.changes.append((name, self.slot))

    def _forget(self, name: Name) -> bool:
        self.deadlines.pop(name, None)
        self.revisions.pop(name, None)
        held = self.values.pop(name, None) is not None
        if held:
            self.changes.append((name, self.slot))
        return held


def is_same(first: list[Any], write: list[Any]) -> bool:
    """Whether two writes are one and the same that was sent twice: an EXEC watches again before that."""
    if first[0] == EXEC == write[0]:
        return [each[:2] for each in first[3]] == [each[:2] for each in write[3]] and first[4] == write[4]
    # A DEL of many keys was a DELETE in earlier versions.
    first, write = ([DELETE, *each[3:]] if each[:2] == [ERASE, 0] else each for each in (first, write))
    return first == write
