"""Entries as gateways make them, of every code that is for a database: few keys, short lives, all conditions."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dkv.kv.codes import (
    ABSOLUTE,
    CONDITIONS,
    COPY,
    DBSIZE,
    ERASE,
    EXISTS,
    EXPIRE,
    EXTEND,
    FLUSHALL,
    FLUSHDB,
    GETDEL,
    GETEX,
    GETRANGE,
    INCRBY,
    INCRBYFLOAT,
    KEEP_LIFE,
    KEYS,
    KEYSPACE,
    MEMORY,
    MGET,
    MSET,
    MSETNX,
    NEVER_DIES,
    NO_LIFE,
    NOTIFY,
    OBJECT,
    PERSIST,
    RANDOMKEY,
    READ,
    RELATIVE,
    RENAME,
    RENAMENX,
    SCAN,
    SET,
    SETNX,
    SETRANGE,
    STRLEN,
    TIME,
    TTL,
    TYPE,
    WATCH,
)  # fmt: skip
from tests.kv.script_entries import scripts

BYTES_MAX = 12
DBS = st.sampled_from([0, 0, 0, 1, 15])
NAMES = st.sampled_from([b"a", b"b", b"", b"\xff"])
VALUES = st.sampled_from([b"", b"x", b"1", b"-7", b"1.5", b"long enough", b"9223372036854775807"])
MOMENTS = st.one_of(
    st.tuples(st.just(RELATIVE), st.sampled_from([-1, 0, 1, 2, 5, 30, 2**62])),
    st.tuples(st.just(ABSOLUTE), st.sampled_from([-1, 0, 1_001, 1_005, 1_010, 2**62])),
)
LIVES = st.one_of(st.sampled_from([(NO_LIFE, 0), (KEEP_LIFE, 0)]), MOMENTS)
FLAGS = st.integers(0, 1)
SMALL = st.integers(-9, 9)


def _entries(code: int, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Entries of one code: arguments, those that are tuples in a row."""
    return st.tuples(DBS, *arguments).map(
        lambda drawn: (
            [code, drawn[0], BYTES_MAX]
            + [field for each in drawn[1:] for field in (each if isinstance(each, tuple) else (each,))]
        )
    )


_SOME_NAMES = st.lists(NAMES, min_size=1, max_size=3).map(tuple)
_SOME_PAIRS = st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=3).map(lambda pairs: sum(pairs, ()))

WRITES = st.one_of(
    _entries(SET, NAMES, VALUES, st.sampled_from(CONDITIONS), VALUES, LIVES, FLAGS),
    _entries(SETNX, NAMES, VALUES),
    _entries(ERASE, _SOME_NAMES),
    _entries(EXTEND, NAMES, VALUES),
    _entries(GETDEL, NAMES),
    _entries(GETEX, NAMES, st.one_of(MOMENTS, st.just((NEVER_DIES, 0)))),
    _entries(MSET, _SOME_PAIRS),
    _entries(MSETNX, _SOME_PAIRS),
    _entries(INCRBY, NAMES, SMALL),
    _entries(INCRBYFLOAT, NAMES, VALUES),
    _entries(SETRANGE, NAMES, st.integers(0, 9), VALUES),
    _entries(RENAME, NAMES, NAMES),
    _entries(RENAMENX, NAMES, NAMES),
    _entries(COPY, NAMES, NAMES, DBS, FLAGS),
    _entries(EXPIRE, NAMES, MOMENTS, st.sampled_from([0, 0, 1, 2, 4, 8, 6])),
    _entries(PERSIST, NAMES),
    _entries(FLUSHDB),
    _entries(FLUSHALL),
    scripts(DBS, NAMES, BYTES_MAX),
)
SETTINGS = _entries(NOTIFY, st.sampled_from([b"", b"AnKE", b"AnKE", b"xE", b"$K", b"gnE"]))
READS = st.one_of(
    _entries(READ, NAMES),
    _entries(MGET, _SOME_NAMES),
    _entries(STRLEN, NAMES),
    _entries(GETRANGE, NAMES, SMALL, SMALL),
    _entries(EXISTS, _SOME_NAMES),
    _entries(TYPE, NAMES),
    _entries(TTL, NAMES, st.integers(0, 3)),
    _entries(RANDOMKEY, st.integers(0, 2**64 - 1)),
    _entries(KEYS, st.sampled_from([b"*", b"a", b"[ab]"])),
    _entries(DBSIZE),
    _entries(OBJECT, NAMES, st.sampled_from([b"ENCODING", b"FREQ", b"IDLETIME", b"REFCOUNT"])),
    _entries(MEMORY, NAMES),
    _entries(TIME),
)
READS_OF_ONE_NODE = st.one_of(
    _entries(SCAN, st.integers(0, 9), st.sampled_from([b"", b"a*"]), st.integers(1, 9), st.just(b"")),
    _entries(WATCH, _SOME_NAMES),
    _entries(KEYSPACE),
)
