"""The commands on one string."""

from __future__ import annotations

from dkv.kv.codes import ANY, APPEND, EXTEND, GET, NO_LIFE, PUT, READ, SET
from dkv.kv.registry import BadRequest, Context, KeySpec, LogCommand, shown
from dkv.kv.words.parsing import key_of, key_too_long, value_of, value_too_long
from dkv.records import Entry


def _set(words: list[bytes], context: Context) -> Entry:
    if len(words) > 3:
        raise BadRequest(f"ERR {shown(words[0])} takes no options in dkv: {shown(words[3])}")
    _, key, value = words
    limits = context.limits
    if len(key) > limits.key_bytes_max:
        raise key_too_long(key, context)
    if len(value) > limits.value_bytes_max:
        raise value_too_long(value, context)
    if not context.db:
        return [PUT, key, value]
    return [SET, context.db, limits.value_bytes_max, key, value, ANY, b"", NO_LIFE, 0, 0]


def _get(words: list[bytes], context: Context) -> Entry:
    key = words[1]
    if len(key) > context.limits.key_bytes_max:
        raise key_too_long(key, context)
    return [READ, context.db, context.limits.value_bytes_max, key] if context.db else [GET, key]


def _append(words: list[bytes], context: Context) -> Entry:
    key, suffix = key_of(words[1], context), value_of(words[2], context)
    bytes_max = context.limits.value_bytes_max
    return [EXTEND, context.db, bytes_max, key, suffix] if context.db else [APPEND, key, suffix, bytes_max]


COMMANDS = (
    LogCommand(
        name="put",
        arity=-3,
        keys=KeySpec(1, 1),
        flags=("write", "denyoom"),
        group="dkv",
        since="0.1.0",
        arguments="key value",
        summary="Set a key to a value, as SET does.",
        build=_set,
    ),
    LogCommand(
        name="set",
        arity=-3,
        keys=KeySpec(1, 1),
        flags=("write", "denyoom"),
        group="string",
        since="1.0.0",
        arguments="key value",
        summary="Set a key to a value.",
        build=_set,
    ),
    LogCommand(
        name="get",
        arity=2,
        keys=KeySpec(1, 1),
        flags=("readonly", "fast"),
        group="string",
        since="1.0.0",
        arguments="key",
        summary="The value of a key, or nil.",
        build=_get,
    ),
    LogCommand(
        name="append",
        arity=3,
        keys=KeySpec(1, 1),
        flags=("write", "denyoom", "fast"),
        group="string",
        since="2.0.0",
        arguments="key value",
        summary="Append to the value of a key; its new length.",
        build=_append,
    ),
)
