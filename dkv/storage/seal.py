"""Checksums of stored values: a promise, a vote or a count of an acceptor must not come back as another one.

LevelDB's own checksums end where its blocks end, and its recovery silently drops a damaged tail of its log. So every
value is stored behind a CRC32C of its own, with two exceptions: the log can make the applied state again, and the
format version must be readable before the format is known.
"""

from __future__ import annotations

from struct import Struct

import google_crc32c

from dkv.keys import FORMAT, RECORD, STATE, slot_of
from dkv.storage.store import RecordCorrupt

_CHECKSUM = Struct(">I")
_UNSEALED = frozenset((STATE, FORMAT))

DAMAGE_ADVICE = (
    "This node must not vote any more, for it may have forgotten what it promised: leave it stopped, "
    "keep its directory for the inquiry, and check its disk; the other nodes serve without it"
)


def seal(key: bytes, value: bytes) -> bytes:
    """The stored form of ``value``: the CRC32C of key and value in four bytes, big-endian, then the value.

    The checksum covers the key, so that a good value under a wrong key is noticed, too.
    """
    if key[:1] in _UNSEALED:
        return value
    return _CHECKSUM.pack(_checksum(key, value)) + value


def unseal(key: bytes, stored: bytes) -> bytes:
    """The value that ``seal`` stored; ``RecordCorrupt``, with advice, if it is not the one that was written."""
    if key[:1] in _UNSEALED:
        return stored
    value = stored[_CHECKSUM.size :]
    if stored[: _CHECKSUM.size] != _CHECKSUM.pack(_checksum(key, value)):
        raise RecordCorrupt(f"{describe(key)} is damaged: its checksum does not match. {DAMAGE_ADVICE}")
    return value


def describe(key: bytes) -> str:
    """The key in words, for an error's text."""
    if key[:1] == RECORD and len(key) == len(RECORD) + 8:
        return f"the record of slot {slot_of(key)}"
    return f"the stored value of key {key!r}"


def _checksum(key: bytes, value: bytes) -> int:
    return int(google_crc32c.extend(google_crc32c.value(key), value))
