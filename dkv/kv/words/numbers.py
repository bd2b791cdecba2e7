"""The commands that add to a number."""

from __future__ import annotations

from dkv.kv.codes import INCRBY, INCRBYFLOAT
from dkv.kv.numerals import INTEGER_MIN, NO_DECIMAL, parse_decimal
from dkv.kv.registry import BadRequest, Context, KeySpec, LogCommand
from dkv.kv.words.parsing import integer, key_of, uniform
from dkv.records import Entry


def _incr(words: list[bytes], context: Context) -> Entry:
    return uniform(INCRBY, context, key_of(words[1], context), 1)


def _decr(words: list[bytes], context: Context) -> Entry:
    return uniform(INCRBY, context, key_of(words[1], context), -1)


def _incrby(words: list[bytes], context: Context) -> Entry:
    return uniform(INCRBY, context, key_of(words[1], context), integer(words[2]))


def _decrby(words: list[bytes], context: Context) -> Entry:
    number = integer(words[2])
    if number == INTEGER_MIN:
        raise BadRequest("ERR decrement would overflow")
    return uniform(INCRBY, context, key_of(words[1], context), -number)


def _incrbyfloat(words: list[bytes], context: Context) -> Entry:
    if parse_decimal(words[2]) is None:
        raise BadRequest(NO_DECIMAL.text)
    return uniform(INCRBYFLOAT, context, key_of(words[1], context), words[2])


COMMANDS = (
    LogCommand(
        name="incr",
        arity=2,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "denyoom", "fast"),
        group="string",
        since="1.0.0",
        arguments="key",
        summary="Add 1 to a whole number; the new number.",
        codes=(INCRBY,),
        build=_incr,
    ),
    LogCommand(
        name="incrby",
        arity=3,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "denyoom", "fast"),
        group="string",
        since="1.0.0",
        arguments="key increment",
        summary="Add to a whole number; the new number.",
        codes=(INCRBY,),
        build=_incrby,
    ),
    LogCommand(
        name="decr",
        arity=2,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "denyoom", "fast"),
        group="string",
        since="1.0.0",
        arguments="key",
        summary="Subtract 1 from a whole number; the new number.",
        codes=(INCRBY,),
        build=_decr,
    ),
    LogCommand(
        name="decrby",
        arity=3,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "denyoom", "fast"),
        group="string",
        since="1.0.0",
        arguments="key decrement",
        summary="Subtract from a whole number; the new number.",
        codes=(INCRBY,),
        build=_decrby,
    ),
    LogCommand(
        name="incrbyfloat",
        arity=3,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "denyoom", "fast"),
        group="string",
        since="2.6.0",
        arguments="key increment",
        summary="Add to a decimal number; the new number.",
        codes=(INCRBYFLOAT,),
        build=_incrbyfloat,
    ),
)
