"""Counts of the log of a node that does not run: its records, and the slots that they are of."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from dkv.keys import RECORD, slot_of
from dkv.storage.store import Store


@dataclass(frozen=True, slots=True)
class LogContents:
    """The records of a log. ``ranges`` are the slots that have one, each from its first to its last one."""

    records: int
    ranges: tuple[tuple[int, int], ...]
    value_bytes: int


def log_contents(log: Store) -> LogContents:
    """Read the records; ``RecordCorrupt`` if one is damaged."""
    ranges: list[tuple[int, int]] = []
    first = last = records = value_bytes = 0
    for key, data in log.scan(RECORD):
        slot = slot_of(key)
        if not records or slot != last + 1:
            ranges += [(first, last)] if records else []
            first = slot
        last = slot
        records += 1
        value_bytes += len(data)
    return LogContents(records, tuple(chain(ranges, [(first, last)] if records else [])), value_bytes)
