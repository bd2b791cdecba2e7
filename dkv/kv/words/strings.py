"""The commands on one string."""

from __future__ import annotations

from dkv.kv.codes import (
    ANY,
    APPEND,
    EXTEND,
    GET,
    GETDEL,
    GETEX,
    GETRANGE,
    IF_ABSENT,
    IF_EQUAL,
    IF_PRESENT,
    IF_UNEQUAL,
    KEEP_LIFE,
    NEVER_DIES,
    NO_LIFE,
    PUT,
    READ,
    SET,
    SETNX,
    SETRANGE,
    STRLEN,
)
from dkv.kv.registry import BadRequest, ByWords, Category, Context, KeySpec, LogCommand
from dkv.kv.words.lifetimes import LifeOptions, lifetime
from dkv.kv.words.parsing import (
    integer,
    key_of,
    key_too_long,
    lacks,
    operand,
    uniform,
    value_of,
    value_too_long,
)
from dkv.records import Entry
from dkv.replies import LogRequest

_CONDITIONS = {b"nx": IF_ABSENT, b"xx": IF_PRESENT, b"ifeq": IF_EQUAL, b"ifne": IF_UNEQUAL}
_WITH_OPERAND = (IF_EQUAL, IF_UNEQUAL)
_LACKED = (b"ifdeq", b"ifdne")


def _set(words: list[bytes], context: Context) -> Entry:
    if len(words) > 3 or context.db:
        return _set_with_options(words, context)
    _, key, value = words
    limits = context.limits
    if len(key) > limits.key_bytes_max:
        raise key_too_long(key, context)
    if len(value) > limits.value_bytes_max:
        raise value_too_long(value, context)
    return [PUT, key, value]


def _set_with_options(words: list[bytes], context: Context) -> Entry:
    _, key, value, *options = words
    condition, compared, get = ANY, b"", 0
    lives = LifeOptions(words, (b"keepttl", KEEP_LIFE))
    rest = iter(options)
    for option in rest:
        name = option.lower()
        wanted = _CONDITIONS.get(name, ANY)
        if name == b"get":
            get = 1
        elif wanted != ANY and (condition == ANY or (condition == wanted and wanted not in _WITH_OPERAND)):
            condition = wanted
            if condition in _WITH_OPERAND:
                compared = operand(rest)
        elif name in _LACKED:
            raise lacks(words, option)
        else:
            lives.take(name, rest)
    life, milliseconds = lives.chosen()
    key, value, compared = key_of(key, context), value_of(value, context), value_of(compared, context)
    return uniform(SET, context, key, value, condition, compared, life, milliseconds, get)


def _setex(words: list[bytes], context: Context) -> Entry:
    _, key, number, value = words
    life, milliseconds = lifetime(words, b"ex", number)
    return _plain_set(key, value, context, life, milliseconds)


def _psetex(words: list[bytes], context: Context) -> Entry:
    _, key, number, value = words
    life, milliseconds = lifetime(words, b"px", number)
    return _plain_set(key, value, context, life, milliseconds)


def _getset(words: list[bytes], context: Context) -> Entry:
    return _plain_set(words[1], words[2], context, get=1)


def _plain_set(
    key: bytes, value: bytes, context: Context, life: int = NO_LIFE, milliseconds: int = 0, get: int = 0
) -> Entry:
    key, value = key_of(key, context), value_of(value, context)
    return uniform(SET, context, key, value, ANY, b"", life, milliseconds, get)


def _setnx(words: list[bytes], context: Context) -> Entry:
    return uniform(SETNX, context, key_of(words[1], context), value_of(words[2], context))


def _get(words: list[bytes], context: Context) -> Entry:
    key = words[1]
    if len(key) > context.limits.key_bytes_max:
        raise key_too_long(key, context)
    return uniform(READ, context, key) if context.db else [GET, key]


def _getdel(words: list[bytes], context: Context) -> Entry:
    return uniform(GETDEL, context, key_of(words[1], context))


def _getex(words: list[bytes], context: Context) -> Entry:
    if len(words) == 2:
        return _get(words, context)
    lives = LifeOptions(words, (b"persist", NEVER_DIES))
    rest = iter(words[2:])
    for option in rest:
        lives.take(option.lower(), rest)
    return uniform(GETEX, context, key_of(words[1], context), *lives.chosen())


def _category_of_getex(words: list[bytes]) -> Category:
    """Without options it is a GET."""
    return "read" if len(words) == 2 else "write"


def _append(words: list[bytes], context: Context) -> Entry:
    key, suffix = key_of(words[1], context), value_of(words[2], context)
    if context.db:
        return uniform(EXTEND, context, key, suffix)
    return [APPEND, key, suffix, context.limits.value_bytes_max]


def _strlen(words: list[bytes], context: Context) -> Entry:
    return uniform(STRLEN, context, key_of(words[1], context))


def _getrange(words: list[bytes], context: Context) -> Entry:
    _, key, start, end = words
    return uniform(GETRANGE, context, key_of(key, context), integer(start), integer(end))


def _setrange(words: list[bytes], context: Context) -> LogRequest:
    _, key, offset, value = words
    number = integer(offset)
    if number < 0:
        raise BadRequest("ERR offset is out of range")
    return LogRequest(uniform(SETRANGE, context, key_of(key, context), number, value_of(value, context)))


_LIVES = "EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds"

COMMANDS = (
    LogCommand(
        name="put",
        arity=-3,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "denyoom"),
        group="dkv",
        since="0.1.0",
        arguments=f"key value [NX|XX|IFEQ value|IFNE value] [GET] [{_LIVES}|KEEPTTL]",
        summary="Set a key to a value, as SET does.",
        codes=(PUT, SET),
        build=_set,
    ),
    LogCommand(
        name="set",
        arity=-3,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "denyoom"),
        group="string",
        since="1.0.0",
        arguments=f"key value [NX|XX|IFEQ value|IFNE value] [GET] [{_LIVES}|KEEPTTL]",
        summary="Set a key to a value; nil if a condition was not met. With GET, the old value.",
        codes=(PUT, SET),
        build=_set,
    ),
    LogCommand(
        name="setnx",
        arity=3,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "denyoom", "fast"),
        group="string",
        since="1.0.0",
        arguments="key value",
        summary="Set a key that does not exist; 1, or 0 if it does.",
        codes=(SETNX,),
        build=_setnx,
    ),
    LogCommand(
        name="setex",
        arity=4,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "denyoom"),
        group="string",
        since="2.0.0",
        arguments="key seconds value",
        summary="Set a key that expires.",
        codes=(SET,),
        build=_setex,
    ),
    LogCommand(
        name="psetex",
        arity=4,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "denyoom"),
        group="string",
        since="2.6.0",
        arguments="key milliseconds value",
        summary="Set a key that expires, in milliseconds.",
        codes=(SET,),
        build=_psetex,
    ),
    LogCommand(
        name="getset",
        arity=3,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "denyoom", "fast"),
        group="string",
        since="1.0.0",
        arguments="key value",
        summary="Set a key; its old value.",
        codes=(SET,),
        build=_getset,
    ),
    LogCommand(
        name="get",
        arity=2,
        keys=KeySpec(1, 1),
        category="read",
        flags=("readonly", "fast"),
        group="string",
        since="1.0.0",
        arguments="key",
        summary="The value of a key, or nil.",
        codes=(GET, READ),
        build=_get,
    ),
    LogCommand(
        name="getdel",
        arity=2,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "fast"),
        group="string",
        since="6.2.0",
        arguments="key",
        summary="Delete a key; its value.",
        codes=(GETDEL,),
        build=_getdel,
    ),
    LogCommand(
        name="getex",
        arity=-2,
        keys=KeySpec(1, 1),
        category=ByWords(("read", "write"), _category_of_getex),
        flags=("write", "fast"),
        group="string",
        since="6.2.0",
        arguments=f"key [{_LIVES}|PERSIST]",
        summary="The value of a key, whose deadline is changed.",
        codes=(GET, READ, GETEX),
        build=_getex,
    ),
    LogCommand(
        name="append",
        arity=3,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "denyoom", "fast"),
        group="string",
        since="2.0.0",
        arguments="key value",
        summary="Append to the value of a key; its new length.",
        complexity="O(N) for a value of N bytes",
        codes=(APPEND, EXTEND),
        build=_append,
    ),
    LogCommand(
        name="strlen",
        arity=2,
        keys=KeySpec(1, 1),
        category="read",
        flags=("readonly", "fast"),
        group="string",
        since="2.2.0",
        arguments="key",
        summary="The length of a value; 0 if there is none.",
        codes=(STRLEN,),
        build=_strlen,
    ),
    LogCommand(
        name="getrange",
        arity=4,
        keys=KeySpec(1, 1),
        category="read",
        flags=("readonly",),
        group="string",
        since="2.4.0",
        arguments="key start end",
        summary="A part of a value, from byte start to byte end; below 0 they count from its end.",
        complexity="O(N) for a value of N bytes",
        codes=(GETRANGE,),
        build=_getrange,
    ),
    LogCommand(
        name="substr",
        arity=4,
        keys=KeySpec(1, 1),
        category="read",
        flags=("readonly",),
        group="string",
        since="1.0.0",
        arguments="key start end",
        summary="The old name of GETRANGE.",
        complexity="O(N) for a value of N bytes",
        codes=(GETRANGE,),
        build=_getrange,
    ),
    LogCommand(
        name="setrange",
        arity=4,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "denyoom"),
        group="string",
        since="2.2.0",
        arguments="key offset value",
        summary="Overwrite a part of a value, from byte offset on; its length.",
        complexity="O(N) for a value of N bytes",
        codes=(SETRANGE,),
        build=_setrange,
    ),
)
