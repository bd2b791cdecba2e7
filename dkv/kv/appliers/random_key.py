"""RANDOMKEY: a key that a random number finds, the same one on every node.

The number leads down the tree that the stored keys make: at each step it picks one of the bytes with which keys go on
that begin alike so far. So a key with few neighbours is found more often than others, and each can be found. The cost
does not grow with the number of keys.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import takewhile
from operator import eq

from dkv.actor import Turn
from dkv.kv.asks import UNKNOWN, Applier, Ask
from dkv.kv.codes import RANDOMKEY
from dkv.kv.keyspace import Keyspace
from dkv.replies import Result
from dkv.settings import MIB

LOOKS_MAX = 100
"""A constant of the format: a way ends after so many looks at the stored keys, with the first key below it."""

READ_BYTES_MAX = 4 * MIB
"""A constant of the format: it also ends when so much was read, values included."""

DEAD_AT_ONCE = 2_000
"""A constant of the format: of so many keys, from the one that was found on, the first that is alive is the answer."""

_LAST = b"\xff" * 8
"""Behind all keys that begin with the bytes before it, except for a few that hardly anybody has."""


def random_key(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """A key, or nil if the database has none."""
    match ask.arguments:
        case [int() as number]:
            stem = keyspace.prefix(ask.db)
            found = _Way(keyspace, turn, number).lead(stem)
            for after, count in ((found, 1), (found, DEAD_AT_ONCE), (b"", DEAD_AT_ONCE)):  # most keys are alive
                for name, stored in keyspace.page(turn, stem, after, count, READ_BYTES_MAX):
                    if keyspace.is_alive(stored):
                        return name[len(stem) :]
            return None
    return UNKNOWN


class _Way:
    """The way that a number leads down the tree of the stored keys."""

    def __init__(self, keyspace: Keyspace, turn: Turn, number: int) -> None:
        self._keyspace = keyspace
        self._turn = turn
        self._seed = b"%d" % (number % 2**64)
        self._drawn = self._looks = self._read = 0

    def lead(self, stem: bytes) -> bytes:
        """What the key at the end of the way, which begins with ``stem``, stands next behind; b"": it is the first."""
        node, before = stem, b""
        while self._looks < LOOKS_MAX and self._read < READ_BYTES_MAX:
            keys = self._keys(node, b"", 2)
            if len(keys) < 2:
                break  # The way has come to a single key.
            first, second = keys
            node = self._fork(node, first, second)
            ends_here = first == node
            low, high = (second if ends_here else first)[len(node)], 255
            found: list[bytes] = []
            while not found:  # a byte that is too high is no longer in the way of the next draw
                byte = self._draw(low - ends_here, high)
                if byte < low:
                    return before
                after = node + bytes((byte - 1,)) + _LAST if byte > low else node if ends_here else before
                found, high = self._keys(node, after, 1), byte - 1
            node, before = found[0][: len(node) + 1], after
        return before

    def _fork(self, node: bytes, first: bytes, second: bytes) -> bytes:
        """What all keys begin with that begin with ``node``; ``first`` and ``second`` are the first ones of them."""
        low, high = len(node), sum(takewhile(bool, map(eq, first, second)))
        middle = high
        while low < high:
            if self._keys(node, first[:middle] + _LAST, 1):
                high = middle - 1
            else:
                low = middle
            middle = (low + high + 1) // 2
        return first[:low]

    def _keys(self, node: bytes, after: bytes, count: int) -> list[bytes]:
        """The stored keys behind ``after`` that begin with ``node``."""
        self._looks += 1
        pairs = self._keyspace.page(self._turn, node, after, count)
        self._read += sum(len(name) + len(stored) for name, stored in pairs)
        return [name for name, _ in pairs]

    def _draw(self, low: int, high: int) -> int:
        """A number from ``low`` to ``high``."""
        self._drawn += 1
        digest = blake2b(b"%b %d" % (self._seed, self._drawn), digest_size=8).digest()
        return low + int.from_bytes(digest, "big") % (high - low + 1)


APPLIERS: dict[int, Applier] = {RANDOMKEY: random_key}
