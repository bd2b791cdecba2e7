"""Erasures of compacted records: a bounded number in each turn, so that no turn takes long.

They are staged, and nothing waits for them. A crash may leave some records behind, which the next start finds.
"""

from __future__ import annotations

from collections import deque

from dkv.actor import Turn
from dkv.keys import RECORD, record_key, slot_of


class Erasures:
    """The slots whose records are still to be erased; a turn erases ``slots_max`` of them."""

    def __init__(self, slots_max: int) -> None:
        self._slots_max = slots_max
        self._ranges: deque[range] = deque()

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def start(self, turn: Turn, through: int) -> None:
        """Find the records that an earlier life left at or below ``through``."""
        end = record_key(through)
        for key, _ in turn.scan(RECORD):
            if key > end:
                return
            self.add(slot_of(key), slot_of(key))

    def add(self, first: int, last: int) -> None:
        """Also erase the records of the slots from ``first`` to ``last``, if there are any."""
        newest = self._ranges[-1] if self._ranges else None
        if newest is not None and newest.stop == first:
            self._ranges[-1] = range(newest.start, last + 1)
        elif first <= last:
            self._ranges.append(range(first, last + 1))

    def erase_some(self, turn: Turn) -> None:
        """Erase as many as one turn may."""
        left = self._slots_max
        while left and self._ranges:
            oldest = self._ranges.popleft()
            now, later = oldest[:left], oldest[left:]
            for slot in now:
                turn.stage_erase(record_key(slot))
            left -= len(now)
            if later:
                self._ranges.appendleft(later)
