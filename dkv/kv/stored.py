"""The stored form of a value: a header, then the value's bytes.

====== =====================================================================
bytes  meaning
====== =====================================================================
1      what the value is: 0, a string; 0x80, a string with a deadline
8      the slot of its last change, big-endian
4      the place of that change among the entries of its slot, from 0
8      the deadline, if it has one: milliseconds since 1970, big-endian
...    the value
====== =====================================================================

Slot and place are the key's *revision*. It grows with every change; only the commands of one transaction share a place.
The header is part of the replicated state, so it is the same on every node. The first byte leaves room for other types.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

_HEADER = Struct(">BQI")
_HEADER_WITH_DEADLINE = Struct(">BQIQ")
STRING = 0
STRING_WITH_DEADLINE = 0x80

HEADER_BYTES = _HEADER.size
HEADER_BYTES_WITH_DEADLINE = _HEADER_WITH_DEADLINE.size

DEADLINE_MAX = 2**63 - 1

Revision = tuple[int, int]
"""The slot of a key's last change, and the place of the change among the entries of the slot."""

ABSENT: Revision = (0, 0)
"""Stands for the revision of a key that does not exist: no slot has the number 0."""


class Held(NamedTuple):
    """A key's value as it is stored. ``deadline`` is in milliseconds since 1970, 0 if it has none."""

    value: bytes
    deadline: int
    revision: Revision


pack_header = _HEADER.pack
"""The header in one call, of ``STRING``, slot and index: for what is called for every key."""


def string_header(slot: int, index: int, deadline: int = 0) -> bytes:
    """The header of a string that the entry at ``index`` of ``slot`` has written; ``deadline`` 0 is none."""
    if deadline:
        return _HEADER_WITH_DEADLINE.pack(STRING_WITH_DEADLINE, slot, index, deadline)
    return _HEADER.pack(STRING, slot, index)


def unpack_string(stored: bytes) -> Held:
    """A value with what its header says."""
    if stored[0] == STRING:
        _, slot, index = _HEADER.unpack_from(stored)
        return Held(stored[HEADER_BYTES:], 0, (slot, index))
    _, slot, index, deadline = _HEADER_WITH_DEADLINE.unpack_from(stored)
    return Held(stored[HEADER_BYTES_WITH_DEADLINE:], deadline, (slot, index))


def value_of(stored: bytes | None) -> bytes | None:
    """The value behind its header; None if there is none. Whether its deadline has passed is not asked."""
    return None if stored is None else stored[header_bytes(stored) :]


def header_bytes(stored: bytes) -> int:
    """How long the header is."""
    return HEADER_BYTES if stored[0] == STRING else HEADER_BYTES_WITH_DEADLINE


def revision_of(stored: bytes) -> Revision:
    """The revision in the header."""
    _, slot, index = _HEADER.unpack_from(stored)
    return slot, index


def deadline_of(stored: bytes) -> int:
    """The deadline in the header, 0 if it has none."""
    return 0 if stored[0] == STRING else int(_HEADER_WITH_DEADLINE.unpack_from(stored)[3])


def is_string(stored: bytes) -> bool:
    """Whether the stored bytes begin with the header of a string."""
    if stored[:1] == b"\0":
        return len(stored) >= HEADER_BYTES
    return stored[:1] == b"\x80" and len(stored) >= HEADER_BYTES_WITH_DEADLINE and deadline_of(stored) > 0
