"""The check of a node's log at start: an acceptor that has forgotten something is an unsafe acceptor."""

from __future__ import annotations

from typing import NamedTuple

from dkv.keys import (
    APPLIED_THROUGH,
    CHOSEN_THROUGH,
    COMPACTED,
    DIGEST,
    PROMISE,
    RECORD,
    SLOT_BALLOT,
    SLOT_PROMISE,
    VOTE_COUNT,
    record_key,
    slot_of,
    unpack_compacted,
    unpack_number,
)
from dkv.records import RecordDamaged, digest_after, unpack_record, value_bytes
from dkv.settings import ENCODING_BYTES
from dkv.storage.data_directory import DirectoryError, DirectoryUnfit
from dkv.storage.seal import DAMAGE_ADVICE
from dkv.storage.store import Store, StoreFailed


class LogFacts(NamedTuple):
    """What the check found: the largest value by ``value_bytes``, and its slot; 0 if there is none."""

    largest_slot: int
    largest_bytes: int


def check_log(log: Store, state: Store) -> LogFacts:
    """Read every promise and every record once; ``DirectoryError`` unless log and state are whole and belong together.

    A whole log has a record for each slot behind ``compacted_through``, up to the last one that a mark calls chosen or
    applied, and every record is readable, those above too. Gaps above are normal: an Accept was lost on the way. What
    was not erased yet at or below ``compacted_through`` does not count. Two actors write the two marks, so the higher
    one counts. The state must hold what the log has given up, and its digest must show that the log is still the one
    that was applied.
    """
    largest, largest_bytes = 0, 0
    try:
        for _ in (log.get(PROMISE), log.get(SLOT_BALLOT), log.get(VOTE_COUNT), *log.scan(SLOT_PROMISE)):
            pass  # the store raises if one of them is damaged
        compacted_through, digest = unpack_compacted(log.get(COMPACTED))
        applied_through, applied_digest = unpack_number(state.get(APPLIED_THROUGH)), state.get(DIGEST)
        through = max(unpack_number(log.get(CHOSEN_THROUGH)), applied_through)
        expected = compacted_through + 1
        for key, data in log.scan(RECORD, record_key(expected)):
            if expected <= through and key != record_key(expected):
                break
            record = unpack_record(data)
            if expected <= applied_through:
                digest = digest_after(digest, record.value)
            expected += 1
            size = value_bytes(record.value)
            if size > largest_bytes:
                largest, largest_bytes = slot_of(key), size
    except RecordDamaged as error:
        raise DirectoryError(f"the record of slot {slot_of(key)} is damaged: {error}. {DAMAGE_ADVICE}") from None
    except StoreFailed as error:
        raise DirectoryError(str(error)) from None
    if applied_through < compacted_through:
        raise DirectoryError(
            f"the state ends at slot {applied_through}, and the log begins behind slot {compacted_through}: "
            f"what is between is lost. {DAMAGE_ADVICE}"
        )
    if expected <= through:
        raise DirectoryError(
            f"the log has lost slot {expected}, though all up to slot {through} were chosen and on disk. "
            f"{DAMAGE_ADVICE}"
        )
    if applied_digest not in (None, digest):
        raise DirectoryError(
            f"the log is not the one that was applied: its slots up to {applied_through} come to another digest. "
            f"{DAMAGE_ADVICE}"
        )
    return LogFacts(largest, largest_bytes)


def check_frame(facts: LogFacts, frame_bytes_max: int) -> None:
    """``DirectoryUnfit`` unless every record fits a frame: a peer that lacks a larger one could never catch up."""
    needed = facts.largest_bytes + ENCODING_BYTES
    if facts.largest_bytes and needed > frame_bytes_max:
        raise DirectoryUnfit(
            f"limits.frame_bytes_max = {frame_bytes_max} is too small for the record of slot {facts.largest_slot}, "
            f"which takes {facts.largest_bytes} bytes; set it to at least {needed}, to the same on every node"
        )
