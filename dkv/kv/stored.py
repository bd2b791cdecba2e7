"""The stored form of a value: a header, then the value's bytes.

====== =====================================================================
bytes  meaning
====== =====================================================================
1      what the value is: 0, a string
8      the slot of its last change, big-endian
4      the place of that change among the entries of its slot, from 0
...    the value
====== =====================================================================

Slot and place are the key's *revision*. It grows with every change, and no two changes have the same. The header is
part of the replicated state, so it is the same on every node. The first byte leaves room for other types, and for
values with a deadline.
"""

from __future__ import annotations

from struct import Struct

_HEADER = Struct(">BQI")
STRING = 0

HEADER_BYTES = _HEADER.size

Revision = tuple[int, int]
"""The slot of a key's last change, and the place of the change among the entries of the slot."""


def string_header(slot: int, index: int) -> bytes:
    """The header of a string that the entry at ``index`` of ``slot`` has written."""
    return _HEADER.pack(STRING, slot, index)


pack_header = _HEADER.pack
"""The same in one call, of type, slot and index: for what is called for every key."""


def value_of(stored: bytes | None) -> bytes | None:
    """The value behind its header; None if there is none."""
    return None if stored is None else stored[HEADER_BYTES:]


def revision_of(stored: bytes) -> Revision:
    """The revision in the header."""
    _, slot, index = _HEADER.unpack_from(stored)
    return slot, index


def is_string(stored: bytes) -> bool:
    """Whether the stored bytes begin with the header of a string."""
    return len(stored) >= HEADER_BYTES and stored[0] == STRING
