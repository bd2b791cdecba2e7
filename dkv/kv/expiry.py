"""The index of deadlines: which keys have one, the nearest first.

It is a part of the state: for each key with a deadline, and for no other, the empty value under ``E``, the deadline
(eight bytes, big-endian), the space and the key. So the order of the stored keys is that of the deadlines.

Memory holds the *front* of the index alone, all entries up to its horizon. The front is a copy of what is stored, so
nothing that anybody sees depends on how long it is.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from sys import maxsize

from dkv.actor import Turn
from dkv.keys import DEADLINE, pack_number

FRONT_MAX = 2_000
"""How many entries are read at a time. The front has twice as many at most, and then as many as are asked for."""

_DEADLINE_END = len(DEADLINE) + 8


def deadline_key(deadline: int, name: bytes) -> bytes:
    """The stored key of an entry; ``name`` is the space and the key."""
    return DEADLINE + pack_number(deadline) + name


def split_deadline_key(entry: bytes) -> tuple[int, bytes]:
    """The deadline in the stored key of an entry, and the space and key behind it."""
    return int.from_bytes(entry[len(DEADLINE) : _DEADLINE_END], "big"), entry[_DEADLINE_END:]


class DeadlineIndex:
    """The index, of which the front is in memory."""

    def __init__(self) -> None:
        self._front: list[bytes] = []
        self._horizon: bytes | None = DEADLINE
        """All entries up to this stored key are in the front; None: all entries are."""

    def start(self) -> None:
        """The state may be another one: what is known of the index is forgotten."""
        self._front = []
        self._horizon = DEADLINE

    def add(self, turn: Turn, deadline: int, name: bytes) -> None:
        """The key has this deadline."""
        entry = deadline_key(deadline, name)
        turn.stage(entry, b"")
        if self._horizon is None or entry <= self._horizon:
            insort(self._front, entry)
            if len(self._front) > 2 * FRONT_MAX:
                del self._front[FRONT_MAX:]
                self._horizon = self._front[-1]

    def remove(self, turn: Turn, deadline: int, name: bytes) -> None:
        """The key has this deadline no more."""
        entry = deadline_key(deadline, name)
        turn.stage_erase(entry)
        if self._horizon is None or entry <= self._horizon:
            del self._front[bisect_left(self._front, entry)]

    def nearest(self, turn: Turn) -> int:
        """The nearest deadline; ``maxsize`` if there is none."""
        self.read_on(turn, 1)
        return split_deadline_key(self._front[0])[0] if self._front else maxsize

    def passed(self, turn: Turn, time: int, count: int) -> list[tuple[int, bytes]]:
        """The first entries whose deadlines are at or below ``time``, ``count`` at most: (deadline, space and key)."""
        self.read_on(turn, count)
        return self.passed_in_front(time, count)

    def passed_in_front(self, time: int, count: int) -> list[tuple[int, bytes]]:
        """Those of them that are in memory."""
        return [split_deadline_key(entry) for entry in self._front[: self._passed_end(time, count)]]

    def passed_of(self, space: int, time: int, count: int) -> int:
        """How many of those in memory are of this space."""
        return sum(entry[_DEADLINE_END] == space for entry in self._front[: self._passed_end(time, count)])

    def _passed_end(self, time: int, count: int) -> int:
        return bisect_left(self._front, deadline_key(time + 1, b""), hi=min(count, len(self._front)))

    def read_on(self, turn: Turn, count: int) -> None:
        """Let the front have so many entries, unless there are fewer."""
        while len(self._front) < count and self._horizon is not None:
            pairs = turn.scan_page(DEADLINE, self._horizon, FRONT_MAX)
            self._front += [entry for entry, _ in pairs]
            self._horizon = self._front[-1] if len(pairs) == FRONT_MAX else None
