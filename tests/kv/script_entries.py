"""Random scripts, as entries of the log: every operation, with arguments as libraries send them, and some that are not.

The words are few, so that tokens meet values, and numbers meet numbers.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dkv.kv import codes
from dkv.kv.scripts import operations as op
from dkv.kv.scripts.operations import OPERATIONS

TOKENS = st.sampled_from([b"", b"x", b"1", b"-7", b"2.50"])
COUNTS = st.sampled_from([b"0", b"1", b"1", b"2", b"-3", b"9223372036854775807", b"x", b"1.5", b"01", b"1e1", b" 4"])
TIMES = st.sampled_from([b"1", b"2", b"3", b"10", b"10", b"0", b"-1", b"x", b"9223372036854775807", b"1e3", b"0.001"])
RESETS = st.sampled_from([b"0", b"1", b"1", b""])
PATTERNS = st.sampled_from([b"*", b"a*", b"[ab]", b"b"])
OPTIONS = st.sampled_from([b"PX", b"px", b"EX", b"what"])

ARGUMENTS: dict[int, tuple[st.SearchStrategy[bytes], ...]] = {
    op.DELETE_IF_EQUAL: (TOKENS,),
    op.PEXPIRE_IF_EQUAL: (TOKENS, TIMES),
    op.EXPIRE_IF_EQUAL: (TOKENS, TIMES),
    op.EXTEND_IF_EQUAL: (TOKENS, TIMES, RESETS),
    op.TTL_IF_EQUAL: (TOKENS,),
    op.SET_IF_EQUAL: (TOKENS, TOKENS, OPTIONS, TIMES),
    op.SET_IF_ABSENT: (TOKENS, TIMES),
    op.ACQUIRE_ALL: (TOKENS, TIMES),
    op.EXTEND_ALL: (TOKENS, TIMES),
    op.RELEASE_ALL: (TOKENS,),
    op.RAISE_NUMBER: (COUNTS,),
    op.ADD_IF_PRESENT: (COUNTS,),
    op.ADD: (COUNTS,),
    op.ADD_AND_PEXPIRE: (COUNTS, TIMES),
    op.ADD_AND_EXPIRE: (TIMES, COUNTS),
    op.COUNT_AND_EXPIRE: (TIMES,),
    op.COUNT_IN_WINDOW: (COUNTS, TIMES),
    op.COUNT_IN_PLAIN_WINDOW: (COUNTS, TIMES),
    op.HIT: (RESETS, TIMES),
    op.HIT_OR_RESET: (RESETS, TIMES),
    op.HIT_OR_BEGIN: (TIMES,),
    op.VALUE_AND_TTL: (),
    op.ACQUIRE_SLIDING: (COUNTS, TIMES, COUNTS),
    op.SLIDING_WINDOW: (TIMES,),
    op.DELETE_MATCHING: (),
    op.DELETE_MATCHING_QUIETLY: (PATTERNS,),
}
"""What stands behind the keys, by operation."""


def scripts(
    dbs: st.SearchStrategy[int], names: st.SearchStrategy[bytes], bytes_max: int
) -> st.SearchStrategy[list[Any]]:
    """Entries of all operations, some of which have a key or an argument too few."""

    def of_one(number: int) -> st.SearchStrategy[list[Any]]:
        count = OPERATIONS[number].keys
        keys = st.lists(names, min_size=0, max_size=3) if count < 0 else st.lists(names, min_size=count, max_size=count)
        if number == op.DELETE_MATCHING:
            keys = st.lists(PATTERNS, min_size=1, max_size=1)
        words = st.tuples(*ARGUMENTS[number]).map(list)
        return st.builds(
            lambda db, keys, words, lost: _without(lost, [codes.SCRIPT, db, bytes_max, number, keys, words]),
            dbs,
            keys,
            words,
            st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2]),
        )

    return st.one_of(*map(of_one, ARGUMENTS))


def _without(lost: int, entry: list[Any]) -> list[Any]:
    """The entry without its last key (1) or argument (2)."""
    if lost:
        entry[3 + lost] = entry[3 + lost][:-1]
    return entry
