"""Keys that are known to exist and to have no deadline: a bounded memory, so that the next PUT need not look for them.

Such a PUT changes neither a count nor the index of deadlines. It is the most frequent write by far, and to read the old
value would cost more than the rest of it. Nothing that anybody sees depends on what is in this memory.

For each key it has eight bytes: Python's hash, SipHash with a key that this process has drawn (Aumasson and Bernstein,
2012). Where they stand follows from another hash. So a key is taken for one that is known, and is not, with a
probability of about 2^-62: a node that gets 100,000 new keys in every second waits a million years for that. The keys
themselves would take ten times the room. Nobody should set PYTHONHASHSEED for a node: who knows the key of the hash can
look for such names.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from zlib import crc32

PLACES = 1 << 15
"""How many keys it has at most in the beginning: it grows with the stored keys."""

PLACES_MAX = 3 << 19
"""How many it has at most, in 12 MiB. Of 1,000,000 keys nine in ten are known at a time, of 500,000 nearly all."""

_GROWTH = 4
_PLACES_PER_KEY = 4  # while it grows, so that most keys are found in their first places

_SPREAD = 0x9E3779B1
"""Makes another number of 32 bits of one (Knuth, volume 3, section 6.4)."""


class PlainKeys:
    """The keys, by the names under which they are stored.

    Whoever erases a key, or gives it a deadline, must ``discard`` it. A key has two places. It goes into the first one
    if that is free, else into the second, and whatever was there is forgotten.
    """

    def __init__(self) -> None:
        self._marks = array("q")
        self.clear()

    def clear(self) -> None:
        """Nothing is known any more."""
        self._marks = array("q", [0]) * PLACES

    def make_room(self, stored: int) -> bool:
        """Grow if so many stored keys want more room, and say whether it did: then nothing is known any more."""
        places = len(self._marks)
        while _PLACES_PER_KEY * stored > places < PLACES_MAX:
            places = min(_GROWTH * places, PLACES_MAX)
        if places == len(self._marks):
            return False
        self._marks = array("q", [0]) * places
        return True

    def not_in_first(self, names: Iterable[bytes]) -> list[bytes]:
        """Those that are not in the first of their places: a quick look for most that are known."""
        marks, places = self._marks, len(self._marks)
        return [name for name in names if marks[crc32(name) % places] != hash(name)]

    def not_in_second(self, names: Iterable[bytes]) -> list[bytes]:
        """Those that are not in the second of their places."""
        marks, places = self._marks, len(self._marks)
        return [name for name in names if marks[(crc32(name) * _SPREAD >> 8) % places] != hash(name)]

    def add_all(self, names: Iterable[bytes]) -> None:
        """All these keys exist and have no deadline. Others may have to go."""
        marks, places = self._marks, len(self._marks)
        for name in names:
            number, mark = crc32(name), hash(name)
            place = number % places
            if marks[place] not in (0, mark):
                place = (number * _SPREAD >> 8) % places
            marks[place] = mark

    def discard(self, name: bytes) -> None:
        """The key may not exist any more, or have a deadline."""
        marks, places, number = self._marks, len(self._marks), crc32(name)
        for place in (number % places, (number * _SPREAD >> 8) % places):
            if marks[place] == hash(name):
                marks[place] = 0
