"""The chunks of a snapshot: a checksum that runs through all of them, and what the receiver asks of each.

Every frame between nodes has a checksum of its own. This one shows that no chunk is missing, comes twice or belongs to
another snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from zlib import crc32

from dkv.configurations import unpack_configurations
from dkv.keys import APPLIED_KEYS, APPLIED_THROUGH, CONFIGURATIONS, DIGEST, DIGEST_BYTES, pack_number
from dkv.state_messages import SnapshotChunk

MARKS = frozenset((APPLIED_THROUGH, DIGEST))
"""The keys without which a state does not say what it is."""

_LENGTHS = Struct(">II")

Pairs = Iterable[tuple[bytes, bytes]]


def checksum_after(checksum: int, pairs: Pairs) -> int:
    """The CRC-32 that goes on with ``pairs`` behind ``checksum``; it begins with 0. Lengths are in it too."""
    for key, value in pairs:
        checksum = crc32(value, crc32(key, crc32(_LENGTHS.pack(len(key), len(value)), checksum)))
    return checksum


def pairs_bytes(pairs: Pairs) -> int:
    """The size of the keys and values."""
    return sum(len(key) + len(value) for key, value in pairs)


class ChunkCheck:
    """Judges the chunks of one snapshot, in their order."""

    def __init__(self) -> None:
        self.through = 0
        """The slot after which the state was like this, as the first chunk says."""
        self._checksum = 0
        self._last_key = b""
        self._marks: set[bytes] = set()

    def complaint(self, chunk: SnapshotChunk) -> str | None:
        """What is wrong with the next chunk, in words; None if nothing is."""
        if chunk.chunk == 0:
            self.through = chunk.through
        elif chunk.through != self.through:
            return f"it belongs to a state after slot {chunk.through}, and the first one to that after {self.through}"
        self._checksum = checksum_after(self._checksum, chunk.pairs)
        if chunk.checksum != self._checksum:
            return "its checksum is wrong"
        for key, value in chunk.pairs:
            if key[:1] not in APPLIED_KEYS or key <= self._last_key:
                return f"key {key!r} is none of the state, or out of order"
            self._last_key = key
            if key in MARKS:
                self._marks.add(key)
            if key == APPLIED_THROUGH and value != pack_number(self.through):
                return "the state in it ends at another slot"
            if key == DIGEST and len(value) != DIGEST_BYTES:
                return "the digest in it is none"
            if key[:1] == CONFIGURATIONS and not _are_members(key, value):
                return "the sets of members in it cannot be read"
        if not chunk.pairs and self._marks != MARKS:
            return "the state ends without its marks"
        return None


def _are_members(key: bytes, value: bytes) -> bool:
    """Whether the pair is the sets of members: the state machine will take them up, and cannot do without."""
    try:
        unpack_configurations(value)
    except ValueError:
        return False
    return key == CONFIGURATIONS
