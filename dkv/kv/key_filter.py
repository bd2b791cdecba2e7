"""Which keys were certainly never stored: a filter in memory, so that a write of a new key need not look for it.

A write must know whether its key is new, for the exact count of keys. Most writes of unknown keys are of new ones, and
to find out in LevelDB that a key is absent costs more than the rest of such a write. The filter is Bloom's (1970), in
blocks of 16 bits: a key has three bits of one block. If one of them is not set, no stored key has this hash. If all are
set, that says nothing.

It grows with the keys, by tables that are larger and larger (Almeida et al., 2007), and has about two bytes for each.
Keys that are erased leave their bits behind. So once it is full of them a new filter is made beside it, from the keys
that are stored: page by page, one page a slot, as after a start. Until the first one is whole nothing is certain. It is
only a memory of what is stored: nothing that anybody sees depends on what is in it.
"""

from __future__ import annotations

from array import array
from itertools import combinations
from zlib import crc32

from dkv.actor import Turn
from dkv.keys import STATE
from dkv.settings import KIB

BLOCKS = 1 << 20
"""How many the first table has, of two bytes each. It is full with as many keys: then it takes one new key in 70 for a
stored one."""

GROWTH = 4
"""How many times as many blocks each further table has as the one before."""

PAGE_KEYS = 500
PAGE_BYTES = 256 * KIB  # after so many bytes of values a page ends

_WAYS = [1 << one | 1 << other | 1 << third for one, other, third in combinations(range(16), 3)]
_TRIPLES = (_WAYS * 8)[: 1 << 12]
"""Three bits of a block, by the first 12 bits of a hash."""


class KeyFilter:
    """Knows each key that is, or was, stored. Whoever stores keys must ``sift`` them first."""

    def __init__(self) -> None:
        self._whole: _Tables | None = None
        self._coming: _Tables | None = None
        self._after = STATE
        self.start()

    def start(self) -> None:
        """The state may be another one: nothing is known of it."""
        self._whole = None
        self.read_again()

    def read_again(self) -> None:
        """Have all stored keys read once more; what is known by now holds meanwhile."""
        self._coming, self._after = _Tables(), STATE

    def is_new(self, name: bytes) -> bool:
        """Whether the key is certainly not stored. From now on it counts as stored."""
        if self._coming is not None:
            self._coming.add(name)
        return self._whole is not None and self._whole.add(name)

    def sift(self, names: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        """The keys that are certainly not stored, and the others. From now on all count as stored."""
        if self._coming is not None:
            for name in names:
                self._coming.add(name)
        if self._whole is None:
            return [], names
        new: list[bytes] = []
        others: list[bytes] = []
        add = self._whole.add
        for name in names:
            (new if add(name) else others).append(name)
        return new, others

    def read_on(self, turn: Turn, stored: int) -> list[tuple[bytes, bytes]]:
        """Read a page of the stored keys, if some are not read yet, and return it. Called once a slot.

        ``stored`` is how many keys there are.
        """
        if self._coming is not None:
            return self._read_page(turn, self._coming)
        if self._whole is not None and self._whole.is_full:
            if self._whole.added > 2 * stored:
                self.read_again()
            else:
                self._whole.grow()
        return []

    def _read_page(self, turn: Turn, coming: _Tables) -> list[tuple[bytes, bytes]]:
        """Read the stored keys behind the last page. One that is stored meanwhile is known, wherever the reading is."""
        page = turn.scan_page(STATE, self._after, PAGE_KEYS, PAGE_BYTES)
        if page:
            for name, _ in page:
                coming.add(name)
            self._after = page[-1][0]
            if coming.is_full:
                coming.grow()
        else:
            self._whole, self._coming = coming, None
        return page


class _Tables:
    """One filter. ``added`` is how many keys it has been given, but for those that it took for stored already."""

    def __init__(self) -> None:
        self._older: list[array[int]] = []
        self._newest = array("H", [0]) * BLOCKS
        self._room = BLOCKS
        self.added = 0

    @property
    def is_full(self) -> bool:
        """Whether more keys would make it take too many for stored."""
        return self.added >= self._room

    def grow(self) -> None:
        """Begin a further table."""
        self._older.append(self._newest)
        self._newest = array("H", [0]) * (GROWTH * len(self._newest))
        self._room += len(self._newest)

    def add(self, name: bytes) -> bool:
        """Add a key, and say whether it certainly was not there."""
        number = crc32(name)
        triple = _TRIPLES[number >> 20]
        for table in self._older:
            if table[number % len(table)] & triple == triple:
                return False
        newest = self._newest
        place = number % len(newest)
        block = newest[place]
        if block & triple == triple:
            return False
        newest[place] = block | triple
        self.added += 1
        return True
