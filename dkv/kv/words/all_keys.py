"""The commands on all the keys of a database, and the time that these live by."""

from __future__ import annotations

import re

from dkv.kv.codes import DBSIZE, FLUSHALL, FLUSHDB, KEYS, RANDOMKEY, SCAN, TIME
from dkv.kv.registry import NO_KEYS, BadRequest, Context, LogCommand, Scope
from dkv.kv.words.parsing import SYNTAX, integer, operand, uniform, value_of
from dkv.records import Entry
from dkv.replies import LogRequest

CURSOR_MAX = 2**64 - 1
COUNT = 10
"""How many keys a SCAN looks at, if it does not say."""

TYPES = (b"string", b"list", b"set", b"zset", b"hash", b"stream")
"""The types that Redis knows; all values of dkv are strings."""

_CURSOR = re.compile(rb"[+]?[0-9]{1,20}")


def _keys(words: list[bytes], context: Context) -> LogRequest:
    return LogRequest(uniform(KEYS, context, value_of(words[1], context)), alone=True)


def _scan(words: list[bytes], context: Context) -> LogRequest:
    cursor = int(words[1]) if _CURSOR.fullmatch(words[1]) else CURSOR_MAX + 1
    if cursor > CURSOR_MAX:
        raise BadRequest("ERR invalid cursor")
    pattern, count, kind = b"*", COUNT, b""
    rest = iter(words[2:])
    for option in rest:
        match option.lower():
            case b"match":
                pattern = value_of(operand(rest), context)
            case b"count":
                count = integer(operand(rest))
                if count < 1:
                    raise BadRequest(SYNTAX)
            case b"type":
                named = operand(rest)
                kind = named.lower()
                if kind not in TYPES:
                    raise BadRequest(f"ERR unknown type name '{named[:128].decode('utf-8', 'backslashreplace')}'")
            case _:
                raise BadRequest(SYNTAX)
    return LogRequest(uniform(SCAN, context, cursor, pattern, count, kind), alone=True)


def _randomkey(words: list[bytes], context: Context) -> LogRequest:
    return LogRequest(uniform(RANDOMKEY, context, context.draw()), alone=True)


def _dbsize(words: list[bytes], context: Context) -> Entry:
    return uniform(DBSIZE, context)


def _flushdb(words: list[bytes], context: Context) -> Entry:
    return _flushed(FLUSHDB, words, context)


def _flushall(words: list[bytes], context: Context) -> Entry:
    return _flushed(FLUSHALL, words, context)


def _flushed(code: int, words: list[bytes], context: Context) -> Entry:
    """ASYNC and SYNC are the same here: the database is empty at once, and its keys are erased in the background."""
    if len(words) > 2 or (len(words) == 2 and words[1].lower() not in (b"async", b"sync")):
        raise BadRequest(SYNTAX)
    return uniform(code, context)


def _time(words: list[bytes], context: Context) -> Entry:
    return uniform(TIME, context)


COMMANDS = (
    LogCommand(
        name="keys",
        arity=2,
        keys=Scope.LISTED,
        category="read",
        flags=("readonly",),
        group="generic",
        since="1.0.0",
        arguments="pattern",
        summary="All keys that match a pattern.",
        complexity="O(N) for N keys in the database",
        codes=(KEYS,),
        build=_keys,
    ),
    LogCommand(
        name="scan",
        arity=-2,
        keys=Scope.LISTED,
        category="read",
        flags=("readonly",),
        group="generic",
        since="2.8.0",
        arguments="cursor [MATCH pattern] [COUNT count] [TYPE type]",
        summary="Some of the keys, and the cursor to ask for more with; 0 begins and ends.",
        complexity="O(count)",
        codes=(SCAN,),
        build=_scan,
    ),
    LogCommand(
        name="randomkey",
        arity=1,
        keys=Scope.DATABASE,
        category="read",
        flags=("readonly",),
        group="generic",
        since="1.0.0",
        arguments="",
        summary="A key by chance; nil if there is none.",
        codes=(RANDOMKEY,),
        build=_randomkey,
    ),
    LogCommand(
        name="dbsize",
        arity=1,
        keys=Scope.DATABASE,
        category="read",
        flags=("readonly", "fast"),
        group="server",
        since="1.0.0",
        arguments="",
        summary="How many keys the database has.",
        codes=(DBSIZE,),
        build=_dbsize,
    ),
    LogCommand(
        name="flushdb",
        arity=-1,
        keys=Scope.DATABASE,
        category="write",
        flags=("write",),
        group="server",
        since="1.0.0",
        arguments="[ASYNC|SYNC]",
        summary="Delete all keys of the database.",
        codes=(FLUSHDB,),
        build=_flushdb,
    ),
    LogCommand(
        name="flushall",
        arity=-1,
        keys=Scope.EVERYTHING,
        category="write",
        flags=("write",),
        group="server",
        since="1.0.0",
        arguments="[ASYNC|SYNC]",
        summary="Delete all keys of all databases.",
        codes=(FLUSHALL,),
        build=_flushall,
    ),
    LogCommand(
        name="time",
        arity=1,
        keys=NO_KEYS,
        category="connection",
        flags=("readonly", "fast"),
        group="server",
        since="2.6.0",
        arguments="",
        summary="The replicated time: seconds since 1970, and microseconds of that second.",
        codes=(TIME,),
        build=_time,
    ),
)
