"""The commands on keys, whatever their values are."""

from __future__ import annotations

from dkv.kv.codes import COPY, DATABASES, DELETE, ERASE, EXISTS, MEMORY, OBJECT, RENAME, RENAMENX, TYPE
from dkv.kv.effort import ARGUMENTS_FEW
from dkv.kv.registry import (
    NO_CHANNELS,
    NO_KEYS,
    BadRequest,
    Command,
    Context,
    KeySpec,
    LogCommand,
    refused_subcommand,
)
from dkv.kv.words.parsing import SYNTAX, integer, key_of, keys_of, operand, small_integer, uniform
from dkv.records import Entry
from dkv.replies import LogRequest

_DESTINATION = 2  # the place of the key that COPY writes


def _delete(words: list[bytes], context: Context) -> Entry:
    keys = keys_of(words[1:], context)
    if context.db or len(keys) > ARGUMENTS_FEW:  # A DELETE is done in any case, and these may be too much.
        return uniform(ERASE, context, *keys)
    return [DELETE, *keys]


def _exists(words: list[bytes], context: Context) -> Entry:
    return uniform(EXISTS, context, *keys_of(words[1:], context))


def _rename(words: list[bytes], context: Context) -> LogRequest:
    return LogRequest(uniform(RENAME, context, *keys_of(words[1:], context)))


def _renamenx(words: list[bytes], context: Context) -> LogRequest:
    return LogRequest(uniform(RENAMENX, context, *keys_of(words[1:], context)))


def _copy(words: list[bytes], context: Context) -> LogRequest:
    _, source, destination, *options = words
    db, replace = _copy_options(options, context.db)
    if source == destination and db == context.db:
        raise BadRequest("ERR source and destination objects are the same")
    return LogRequest(uniform(COPY, context, key_of(source, context), key_of(destination, context), db, replace))


def _copy_options(options: list[bytes], db: int) -> tuple[int, int]:
    """The database of the copy, which is ``db`` unless the options say another, and whether it replaces what is there.

    ``BadRequest`` if the options are wrong.
    """
    replace = 0
    rest = iter(options)
    for option in rest:
        name = option.lower()
        if name == b"replace":
            replace = 1
        elif name == b"db":
            db = small_integer(operand(rest))
            if not 0 <= db < DATABASES:
                raise BadRequest("ERR DB index is out of range")
        else:
            raise BadRequest(SYNTAX)
    return db, replace


def _database_of_copy(words: list[bytes], place: int, db: int) -> int:
    """The database of the key at ``place``. A request with wrong options copies nothing."""
    if place != _DESTINATION:
        return db
    try:
        return _copy_options(words[_DESTINATION + 1 :], db)[0]
    except BadRequest:
        return db


def _type(words: list[bytes], context: Context) -> Entry:
    return uniform(TYPE, context, key_of(words[1], context))


def _object(words: list[bytes], context: Context) -> Entry:
    subcommand = _OBJECT.subcommand(words[1])
    if subcommand is None or not subcommand.takes(len(words)):
        raise BadRequest(refused_subcommand(_OBJECT, words[1]).text)
    return uniform(OBJECT, context, key_of(words[2], context), words[1].lower())


def _memory(words: list[bytes], context: Context) -> Entry:
    subcommand = _MEMORY.subcommand(words[1])
    if subcommand is None or not subcommand.takes(len(words)):
        raise BadRequest(refused_subcommand(_MEMORY, words[1]).text)
    rest = iter(words[3:])
    for option in rest:  # which says how many items of a collection to look at: there are none
        if option.lower() != b"samples" or integer(operand(rest)) < 0:
            raise BadRequest(SYNTAX)
    return uniform(MEMORY, context, key_of(words[2], context))


def _subcommand(name: str, arity: int, since: str, arguments: str, summary: str) -> Command:
    return Command(
        name=name,
        arity=arity,
        keys=KeySpec(2, 2),
        channels=NO_CHANNELS,
        category="read",
        flags=("readonly",),
        group="server" if name.startswith("memory") else "generic",
        since=since,
        arguments=arguments,
        summary=summary,
    )


_OBJECT = LogCommand(
    name="object",
    arity=-2,
    keys=NO_KEYS,
    category="read",
    flags=("readonly",),
    group="generic",
    since="2.2.3",
    arguments="ENCODING|FREQ|IDLETIME|REFCOUNT key",
    summary="About the value of a key.",
    subcommands=(
        _subcommand("object|encoding", 3, "2.2.3", "key", "How Redis would hold the value: int, embstr or raw."),
        _subcommand("object|freq", 3, "4.0.0", "key", "Refused, since dkv does not count accesses."),
        _subcommand("object|idletime", 3, "2.2.3", "key", "0, since dkv does not know when a key was read."),
        _subcommand("object|refcount", 3, "2.2.3", "key", "1, since no two keys share a value."),
    ),
    codes=(OBJECT,),
    build=_object,
)
_MEMORY = LogCommand(
    name="memory",
    arity=-2,
    keys=NO_KEYS,
    category="read",
    flags=("readonly",),
    group="server",
    since="4.0.0",
    arguments="USAGE key [SAMPLES count]",
    summary="The bytes that a key takes.",
    subcommands=(
        _subcommand("memory|usage", -3, "4.0.0", "key [SAMPLES count]", "The bytes that a key and its value take."),
    ),
    codes=(MEMORY,),
    build=_memory,
)

COMMANDS = (
    LogCommand(
        name="delete",
        arity=-2,
        keys=KeySpec(1, -1),
        category="write",
        flags=("write",),
        group="dkv",
        since="0.1.0",
        arguments="key [key ...]",
        summary="Delete keys, as DEL does.",
        complexity="O(N) for N keys",
        codes=(DELETE, ERASE),
        build=_delete,
    ),
    LogCommand(
        name="del",
        arity=-2,
        keys=KeySpec(1, -1),
        category="write",
        flags=("write",),
        group="generic",
        since="1.0.0",
        arguments="key [key ...]",
        summary="Delete keys; how many existed.",
        complexity="O(N) for N keys",
        codes=(DELETE, ERASE),
        build=_delete,
    ),
    LogCommand(
        name="unlink",
        arity=-2,
        keys=KeySpec(1, -1),
        category="write",
        flags=("write", "fast"),
        group="generic",
        since="4.0.0",
        arguments="key [key ...]",
        summary="Delete keys, as DEL does.",
        complexity="O(N) for N keys",
        codes=(DELETE, ERASE),
        build=_delete,
    ),
    LogCommand(
        name="exists",
        arity=-2,
        keys=KeySpec(1, -1),
        category="read",
        flags=("readonly", "fast"),
        group="generic",
        since="1.0.0",
        arguments="key [key ...]",
        summary="How many of the keys exist, repeats counted.",
        complexity="O(N) for N keys",
        codes=(EXISTS,),
        build=_exists,
    ),
    LogCommand(
        name="touch",
        arity=-2,
        keys=KeySpec(1, -1),
        category="read",
        flags=("readonly", "fast"),
        group="generic",
        since="3.2.1",
        arguments="key [key ...]",
        summary="How many of the keys exist, repeats counted.",
        complexity="O(N) for N keys",
        codes=(EXISTS,),
        build=_exists,
    ),
    LogCommand(
        name="rename",
        arity=3,
        keys=KeySpec(1, 2),
        category="write",
        flags=("write",),
        group="generic",
        since="1.0.0",
        arguments="key newkey",
        summary="Move a value and its deadline to another key.",
        codes=(RENAME,),
        build=_rename,
    ),
    LogCommand(
        name="renamenx",
        arity=3,
        keys=KeySpec(1, 2),
        category="write",
        flags=("write", "fast"),
        group="generic",
        since="1.0.0",
        arguments="key newkey",
        summary="As RENAME, if the new key does not exist; 1, or 0 if it does.",
        codes=(RENAMENX,),
        build=_renamenx,
    ),
    LogCommand(
        name="copy",
        arity=-3,
        keys=KeySpec(1, 2),
        category="write",
        flags=("write", "denyoom"),
        group="generic",
        since="6.2.0",
        arguments="source destination [DB destination-db] [REPLACE]",
        summary="Copy a value and its deadline; 1, or 0 if nothing was copied.",
        database_of=_database_of_copy,
        codes=(COPY,),
        build=_copy,
    ),
    LogCommand(
        name="type",
        arity=2,
        keys=KeySpec(1, 1),
        category="read",
        flags=("readonly", "fast"),
        group="generic",
        since="1.0.0",
        arguments="key",
        summary="The type of a value: string, or none if there is no value.",
        codes=(TYPE,),
        build=_type,
    ),
    _OBJECT,
    _MEMORY,
)
