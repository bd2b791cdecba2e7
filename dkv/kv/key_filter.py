"""Which keys were certainly never stored: a filter in memory, so that a write of a new key need not look for it.

A write must know whether its key is new, for the exact count of keys. Most writes of unknown keys are of new ones, and
to find out in LevelDB that a key is absent costs more than the rest of such a write. The filter is Bloom's (1970) with
one hash: a bit that is not set says that no stored key has this hash. A bit that is set says nothing.

After a start the keys that are stored already are read page by page, one page a slot. Until then nothing is certain.
Keys that are erased leave their bits behind. So once many bits have been added the filter begins anew. It is only a
memory of what is stored: nothing that anybody sees depends on what is in it.
"""

from __future__ import annotations

from zlib import crc32

from dkv.actor import Turn
from dkv.keys import STATE
from dkv.settings import KIB

FILTER_BYTES = 2048 * KIB
"""How much memory the filter takes. Of 1,000,000 keys every 17th new one is looked for in vain."""

ADDED_MAX = FILTER_BYTES
"""So many bits, an eighth of all, may be added behind a reading of all stored keys. Then it begins anew."""

PAGE_KEYS = 200
PAGE_BYTES = 256 * KIB  # after so many bytes of values a page ends


class KeyFilter:
    """A bit for each hash of a key that is, or was, stored. Whoever stores a key must ask ``is_new`` of it first."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._after: bytes | None = None
        self._added = 0
        self.start()

    def start(self) -> None:
        """The state may be another one: nothing is known of it."""
        self._bits = bytearray(FILTER_BYTES)
        self._after = STATE
        self._added = 0

    def is_new(self, name: bytes) -> bool:
        """Whether the key is certainly not stored. From now on it counts as stored."""
        bits = self._bits
        number = crc32(name)
        bit = 1 << (number & 7)
        place = (number >> 3) % len(bits)
        if bits[place] & bit:
            return False
        bits[place] |= bit
        self._added += 1
        return self._after is None

    def read_on(self, turn: Turn) -> None:
        """Read a page of the stored keys, if some are not read yet. Called once a slot."""
        if self._after is not None:
            self._read_page(turn, self._after)
        elif self._added > ADDED_MAX:
            self.start()

    def _read_page(self, turn: Turn, after: bytes) -> None:
        """Read the stored keys behind ``after``. One that is stored meanwhile is known, wherever the reading is."""
        page = turn.scan_page(STATE, after, PAGE_KEYS, PAGE_BYTES)
        for name, _ in page:
            self.is_new(name)
        if page:
            self._after = page[-1][0]
        else:
            self._after = None
            self._added = 0
