"""The erasure of keys that are dead already: those whose deadline has passed, and those of flushed databases.

Nothing that anybody sees depends on when it happens. But the state does, so it happens at the beginning of each slot
and by rules that depend on the state alone, on every node alike. A slot erases a bounded number of keys. As long as
something is left, the leader proposes slots for that (``Machine.due``).
"""

from __future__ import annotations

from dkv.actor import Turn
from dkv.keys import STATE
from dkv.kv.key_events import EXPIRED
from dkv.kv.keyspace import Keyspace
from dkv.kv.stored import deadline_of

ERASED_MAX = 500
"""How many keys one slot erases. It is a constant of the format."""

ERASED_BYTES_MAX = 4 << 20
"""After so many bytes of values of flushed databases a slot erases no more. It is a constant of the format."""

PAGE_KEYS = 16
"""How many keys of a flushed database are read at a time, with their values. It is a constant of the format."""


class Eraser:
    """Erases dead keys of ``keyspace``."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._after: dict[int, bytes] = {}
        """Up to where flushed spaces are erased, so that a search need not begin at their first key again."""
        self.expired = 0
        """How many keys were erased because they had expired."""

    def start(self) -> None:
        """The state may be another one: nothing is known of it."""
        self._after.clear()

    def is_due(self, turn: Turn) -> bool:
        """Whether something is left to be erased."""
        keyspace = self._keyspace
        return bool(keyspace.databases.flushed) or keyspace.deadlines.nearest(turn) <= keyspace.time

    def erase(self, turn: Turn) -> None:
        """Erase what the slot at hand has to: first what has expired, in the order of the deadlines."""
        room = ERASED_MAX - self._erase_expired(turn)
        flushed = self._keyspace.databases.flushed
        if room and flushed:
            self._erase_flushed(turn, room)
        for space in self._after.keys() - flushed.keys():
            del self._after[space]  # it is free: other keys may come there

    def _erase_expired(self, turn: Turn) -> int:
        keyspace = self._keyspace
        if keyspace.deadlines.nearest(turn) > keyspace.time:
            return 0
        passed = keyspace.deadlines.passed(turn, keyspace.time, ERASED_MAX)
        for deadline, name in passed:
            db = keyspace.databases.number_of(name[0])
            keyspace.erase_stored(turn, STATE + name, deadline, db)
            if db is not None:
                keyspace.events.add(EXPIRED, db, name[1:])
        self.expired += len(passed)
        return len(passed)

    def _erase_flushed(self, turn: Turn, room: int) -> None:
        """Erase keys of flushed spaces, in the order in which they are stored."""
        flushed = self._keyspace.databases.flushed
        size = 0
        while flushed and room and size < ERASED_BYTES_MAX:
            space = min(flushed)
            pairs = turn.scan_page(STATE + bytes((space,)), self._after.get(space, b""), min(room, PAGE_KEYS))
            assert pairs, f"{flushed[space]} keys of the flushed space {space} are counted and not stored"
            for name, stored in pairs:
                self._keyspace.erase_stored(turn, name, deadline_of(stored), None)
                size += len(stored)
            room -= len(pairs)
            self._after[space] = pairs[-1][0]
