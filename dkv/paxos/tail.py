"""The tail of the log: the newest slots, whose records a node keeps although it has applied them.

With these records it brings peers up to date that missed some slots. What is below the tail is *compacted*: the records
may be erased, because what they amount to is on disk. ``compacted_through`` K is a mark on disk, with the digest of all
slots up to K. Invariants: K never falls, and is never above what is applied *and written back*; no record is erased
before the K above it is on disk.

The tail is counted in blocks of slots, so that memory holds a digest for each block and not for each slot.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from dkv import noted
from dkv.actor import Turn
from dkv.keys import COMPACTED, RECORD, pack_compacted, record_key, slot_of, unpack_compacted
from dkv.records import NO_DIGEST, digest_after, unpack_record, value_bytes
from dkv.settings import Limits

BLOCKS = 16
"""How many blocks fill the tail: it is longer than the settings say by about one of them."""

HELD_TIMES = 32
"""How many times longer the tail may get while somebody holds it. Beyond that, disk space counts for more.

With the usual settings that is 1 GiB, or as much as comes while a snapshot of a few gigabytes is on its way.
"""


@dataclass(slots=True)
class _Block:
    """Applied slots that follow each other, up to ``through``; ``digest`` is that of the whole log up to there.

    ``size`` is what the values take, in bytes, as ``value_bytes`` counts them.
    """

    through: int
    digest: bytes
    slots: int = 0
    size: int = 0


class Tail:
    """The applied slots that are not compacted. They fill the tail with so many slots, or so many bytes of values."""

    def __init__(self, limits: Limits) -> None:
        self._slots_max = limits.log_tail_slots_max
        self._bytes_max = limits.log_tail_bytes_max
        self._block_slots = max(self._slots_max // BLOCKS, 1)
        self._block_bytes = max(self._bytes_max // BLOCKS, 1)
        self._held: int | None = None
        self._begin(0, NO_DIGEST)

    def _begin(self, through: int, digest: bytes) -> None:
        self._blocks: deque[_Block] = deque()
        self._newest = _Block(through, digest)
        self._slots = 0
        self._size = 0

    def start(self, turn: Turn, applied_through: int) -> None:
        """Read the mark, and the records from there to ``applied_through``; what was known before is forgotten."""
        through, digest = unpack_compacted(turn.load(COMPACTED))
        self._begin(through, digest)
        turn.note(noted.compacted, through=through)
        for key, data in turn.scan(RECORD, record_key(through + 1)):
            if slot_of(key) > applied_through:
                break
            assert slot_of(key) == self._newest.through + 1, f"the log has a gap before slot {slot_of(key)}"
            value = unpack_record(data).value
            digest = digest_after(digest, value)
            self.add(value_bytes(value), digest)
        assert self._newest.through == applied_through, f"the log ends before slot {applied_through}, which is applied"

    def add(self, size: int, digest: bytes) -> None:
        """The next slot is applied. Its value takes ``size`` bytes; the log has ``digest`` with it."""
        newest = self._newest
        newest.through += 1
        newest.digest = digest
        newest.slots += 1
        newest.size += size
        self._slots += 1
        self._size += size
        if newest.slots >= self._block_slots or newest.size >= self._block_bytes:
            self._blocks.append(newest)
            self._newest = _Block(newest.through, digest)

    def hold(self, through: int | None) -> None:
        """Keep what is above slot ``through``, as far as disk space allows: somebody will need it. None ends that."""
        self._held = through

    def compact(self, turn: Turn, written_through: int) -> int | None:
        """Persist a new mark, if the slots above it fill the tail; where it is now, None if it stays.

        It is at the end of a block, and not above ``written_through``: the state on disk amounts to all slots up to
        there, and makes up for their records.
        """
        dropped = None
        while self._blocks and self._blocks[0].through <= written_through and self._fills(self._blocks[0]):
            dropped = self._blocks.popleft()
            self._slots -= dropped.slots
            self._size -= dropped.size
        if dropped is None:
            return None
        turn.persist(COMPACTED, pack_compacted(dropped.through, dropped.digest))
        turn.note(noted.compacted, through=dropped.through)
        return dropped.through

    def _fills(self, oldest: _Block) -> bool:
        """Whether the tail is full without its oldest block."""
        times = 1 if self._held is None or oldest.through <= self._held else HELD_TIMES
        slots, size = self._slots - oldest.slots, self._size - oldest.size
        return slots >= self._slots_max * times or size >= self._bytes_max * times
