"""The commands on several strings at once. Each is one entry: all of it happens, or nothing."""

from __future__ import annotations

from dkv.kv.codes import MGET, MSET, MSETNX
from dkv.kv.registry import BadRequest, Context, KeySpec, LogCommand, wrong_number_of_arguments
from dkv.kv.words.parsing import key_of, keys_of, name_of, uniform, value_of
from dkv.records import Entry


def _mget(words: list[bytes], context: Context) -> Entry:
    return uniform(MGET, context, *keys_of(words[1:], context))


def _mset(words: list[bytes], context: Context) -> Entry:
    return uniform(MSET, context, *_pairs(words, context))


def _msetnx(words: list[bytes], context: Context) -> Entry:
    return uniform(MSETNX, context, *_pairs(words, context))


def _pairs(words: list[bytes], context: Context) -> list[bytes]:
    """Keys and values in turn."""
    pairs = words[1:]
    if len(pairs) % 2:
        raise BadRequest(wrong_number_of_arguments(name_of(words)).text)
    return [value_of(word, context) if place % 2 else key_of(word, context) for place, word in enumerate(pairs)]


COMMANDS = (
    LogCommand(
        name="mget",
        arity=-2,
        keys=KeySpec(1, -1),
        category="read",
        flags=("readonly", "fast"),
        group="string",
        since="1.0.0",
        arguments="key [key ...]",
        summary="The values of keys, nil for those that do not exist.",
        complexity="O(N) for N keys",
        codes=(MGET,),
        build=_mget,
    ),
    LogCommand(
        name="mset",
        arity=-3,
        keys=KeySpec(1, -1, 2),
        category="write",
        flags=("write", "denyoom"),
        group="string",
        since="1.0.1",
        arguments="key value [key value ...]",
        summary="Set several keys.",
        complexity="O(N) for N keys",
        codes=(MSET,),
        build=_mset,
    ),
    LogCommand(
        name="msetnx",
        arity=-3,
        keys=KeySpec(1, -1, 2),
        category="write",
        flags=("write", "denyoom"),
        group="string",
        since="1.0.1",
        arguments="key value [key value ...]",
        summary="Set several keys of which none exists; 1, or 0 if one does.",
        complexity="O(N) for N keys",
        codes=(MSETNX,),
        build=_msetnx,
    ),
)
