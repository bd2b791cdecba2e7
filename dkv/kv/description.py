"""Entries of the log in the words that a client would type, for those who look at the log.

An entry for another database than 0 has its number in front, as in redis-cli's prompt: ``[3] SET k v``. A transaction
is shown as its client sent it, with ``;`` between its commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dkv.kv.codes import (
    ABSOLUTE,
    APPEND,
    COPY,
    DBSIZE,
    DELETE,
    ERASE,
    EXEC,
    EXISTS,
    EXPIRE,
    EXTEND,
    FLUSHALL,
    FLUSHDB,
    GET,
    GETDEL,
    GETEX,
    GETRANGE,
    IDMP,
    IDMP_NEW,
    IDMP_REPEAT,
    IDMP_UNCHECKED,
    IF_ABSENT,
    IF_EQUAL,
    IF_PRESENT,
    IF_UNEQUAL,
    INCRBY,
    INCRBYFLOAT,
    KEEP_LIFE,
    KEYS,
    KEYSPACE,
    MEMBERS,
    MEMORY,
    MGET,
    MSET,
    MSETNX,
    NEVER_DIES,
    NO_LIFE,
    NOTIFY,
    OBJECT,
    ONLY_ANOTHER,
    ONLY_EARLIER,
    ONLY_FIRST,
    ONLY_LATER,
    PERSIST,
    PUT,
    RANDOMKEY,
    READ,
    RELATIVE,
    RENAME,
    RENAMENX,
    SCAN,
    SCRIPT,
    SET,
    SETNX,
    SETRANGE,
    STRLEN,
    TIME,
    TTL,
    TYPE,
    UNIFORM_FROM,
    WATCH,
)
from dkv.kv.membership import describe_change
from dkv.kv.scripts.operations import OPERATIONS
from dkv.records import UncheckedEntry

UNREADABLE = [b"?"]
"""What stands for an entry that is none."""

_NAMES = {
    PUT: b"PUT", DELETE: b"DELETE", GET: b"GET",
    READ: b"GET", SETNX: b"SETNX", ERASE: b"DELETE", EXTEND: b"APPEND", GETDEL: b"GETDEL", MGET: b"MGET",
    MSET: b"MSET", MSETNX: b"MSETNX", INCRBY: b"INCRBY", INCRBYFLOAT: b"INCRBYFLOAT", STRLEN: b"STRLEN",
    GETRANGE: b"GETRANGE", SETRANGE: b"SETRANGE", EXISTS: b"EXISTS", RENAME: b"RENAME", RENAMENX: b"RENAMENX",
    TYPE: b"TYPE", PERSIST: b"PERSIST", KEYS: b"KEYS", DBSIZE: b"DBSIZE", FLUSHDB: b"FLUSHDB", FLUSHALL: b"FLUSHALL",
    TIME: b"TIME", WATCH: b"WATCH", KEYSPACE: b"KEYSPACE",
}  # fmt: skip
"""The words of the entries whose arguments stand behind them as they are."""

_CONDITIONS = {IF_ABSENT: b"NX", IF_PRESENT: b"XX", IF_EQUAL: b"IFEQ", IF_UNEQUAL: b"IFNE"}
_EXPIRE_CONDITIONS = {ONLY_FIRST: b"NX", ONLY_ANOTHER: b"XX", ONLY_LATER: b"GT", ONLY_EARLIER: b"LT"}
_LIVES = {RELATIVE: b"PX", ABSOLUTE: b"PXAT"}
_FIXED_LIVES = {NO_LIFE: [], KEEP_LIFE: [b"KEEPTTL"], NEVER_DIES: [b"PERSIST"]}
_TTL_NAMES = (b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME")
_EXPIRE_NAMES = {RELATIVE: b"PEXPIRE", ABSOLUTE: b"PEXPIREAT"}


class _Odd(Exception):
    """The arguments are not those of the command."""


def describe(entry: UncheckedEntry) -> list[bytes]:
    """An entry of the log in the words that a client would type; ``UNREADABLE`` if it is no entry."""
    db, words = _described(entry)
    return [b"[%d]" % db, *words] if db else words


def _described(entry: UncheckedEntry) -> tuple[int, list[bytes]]:
    """The database, and the words."""
    try:
        match entry:
            case [code, bytes() as producer, int() as op, [*write]] if code in (IDMP, IDMP_UNCHECKED):
                db, words = _described(write)
                return db, [b"IDMP", producer, b"%d" % op, *words]
            case [int() as code, int() as db, int(), *arguments] if code >= UNIFORM_FROM:
                return db, _uniform(code, db, arguments)
        return 0, _old(entry)
    except _Odd:
        return 0, [*UNREADABLE]


def _old(entry: UncheckedEntry) -> list[bytes]:
    match entry:
        case [code, *_] if type(code) is not int:
            raise _Odd
        case [code, bytes() as producer, int() as op, bytes()] if code == IDMP_REPEAT:
            return [b"IDMP", producer, b"%d" % op, *UNREADABLE]
        case [code] if code == IDMP_NEW:
            return [b"IDMP", b"NEW"]
        case [code, *_] if code == MEMBERS:
            return [b"MEMBERS", *describe_change(entry)]
        case [code, bytes() as key, bytes() as suffix, int()] if code == APPEND:
            return [b"APPEND", key, suffix]
        case [code, *keys] if code in (PUT, DELETE, GET) and keys:
            return [_NAMES[code], *_as_bytes(keys)]
    raise _Odd


def _uniform(code: int, db: int, arguments: Sequence[object]) -> list[bytes]:
    special = _SPECIAL.get(code)
    if special is not None:
        return special(db, arguments)
    if code not in _NAMES:
        raise _Odd
    return [_NAMES[code], *_plain(arguments)]


def _set(db: int, arguments: Sequence[object]) -> list[bytes]:
    match arguments:
        case [bytes() as key, bytes() as value, int() as condition, bytes() as operand, life, ms, int() as get]:
            conditions = [_CONDITIONS[condition]] if condition in _CONDITIONS else []
            operands = [operand] if condition in (IF_EQUAL, IF_UNEQUAL) else []
            lives = _life(life, ms)
            return [b"SET", key, value, *conditions, *operands, *([b"GET"] if get else []), *lives]
    raise _Odd


def _getex(db: int, arguments: Sequence[object]) -> list[bytes]:
    match arguments:
        case [bytes() as key, life, milliseconds]:
            return [b"GETEX", key, *_life(life, milliseconds)]
    raise _Odd


def _life(life: object, milliseconds: object) -> list[bytes]:
    if type(life) is int and type(milliseconds) is int:
        if life in _LIVES:
            return [_LIVES[life], b"%d" % milliseconds]
        if life in _FIXED_LIVES:
            return _FIXED_LIVES[life]
    raise _Odd


def _expire(db: int, arguments: Sequence[object]) -> list[bytes]:
    match arguments:
        case [bytes() as key, int() as life, int() as milliseconds, int() as conditions] if life in _EXPIRE_NAMES:
            options = [option for bit, option in _EXPIRE_CONDITIONS.items() if conditions & bit]
            return [_EXPIRE_NAMES[life], key, b"%d" % milliseconds, *options]
    raise _Odd


def _ttl(db: int, arguments: Sequence[object]) -> list[bytes]:
    match arguments:
        case [bytes() as key, int() as kind] if 0 <= kind < len(_TTL_NAMES):
            return [_TTL_NAMES[kind], key]
    raise _Odd


def _copy(db: int, arguments: Sequence[object]) -> list[bytes]:
    match arguments:
        case [bytes() as source, bytes() as to, int() as to_db, int() as replace]:
            elsewhere = [b"DB", b"%d" % to_db] if to_db != db else []
            return [b"COPY", source, to, *elsewhere, *([b"REPLACE"] if replace else [])]
    raise _Odd


def _scan(db: int, arguments: Sequence[object]) -> list[bytes]:
    match arguments:
        case [int() as cursor, bytes() as pattern, int() as count, bytes() as kind]:
            match_ = [b"MATCH", pattern] if pattern != b"*" else []
            return [b"SCAN", b"%d" % cursor, *match_, b"COUNT", b"%d" % count, *([b"TYPE", kind] if kind else [])]
    raise _Odd


def _object(db: int, arguments: Sequence[object]) -> list[bytes]:
    match arguments:
        case [bytes() as key, bytes() as subcommand]:
            return [b"OBJECT", subcommand.upper(), key]
    raise _Odd


def _memory(db: int, arguments: Sequence[object]) -> list[bytes]:
    return [b"MEMORY", b"USAGE", *_as_bytes(arguments)]


def _randomkey(db: int, arguments: Sequence[object]) -> list[bytes]:
    return [b"RANDOMKEY"]


def _exec(db: int, arguments: Sequence[object]) -> list[bytes]:
    match arguments:
        case [[*watched], [*entries]]:
            keys = [each[1] for each in watched if type(each) is list and len(each) > 1]
            commands = [describe(each) if type(each) is list else UNREADABLE for each in entries]
            watch = [[b"WATCH", *_as_bytes(keys)]] if keys else []
            return _joined([*watch, [b"MULTI"], *commands, [b"EXEC"]])
    raise _Odd


def _script(db: int, arguments: Sequence[object]) -> list[bytes]:
    match arguments:
        case [int() as number, [*keys], [*words]] if number in OPERATIONS:
            name = OPERATIONS[number].name.encode()
            return [b"EVALSHA", name, b"%d" % len(keys), *_as_bytes(keys), *_as_bytes(words)]
    raise _Odd


def _joined(commands: Iterable[list[bytes]]) -> list[bytes]:
    return [word for command in commands for word in (*command, b";")][:-1]


def _plain(arguments: Sequence[object]) -> list[bytes]:
    """The arguments, which are all bytes or whole numbers."""
    return _as_bytes([b"%d" % word if type(word) is int else word for word in arguments])


def _as_bytes(arguments: Sequence[object]) -> list[bytes]:
    """The arguments, which are all bytes."""
    words = [word for word in arguments if type(word) is bytes]
    if len(words) != len(arguments):
        raise _Odd
    return words


def _notify(db: int, arguments: Sequence[object]) -> list[bytes]:
    return [b"CONFIG", b"SET", b"notify-keyspace-events", *_as_bytes(arguments)]


_SPECIAL: dict[int, Callable[[int, Sequence[object]], list[bytes]]] = {
    SET: _set,
    GETEX: _getex,
    COPY: _copy,
    EXPIRE: _expire,
    TTL: _ttl,
    RANDOMKEY: _randomkey,
    SCAN: _scan,
    OBJECT: _object,
    MEMORY: _memory,
    EXEC: _exec,
    NOTIFY: _notify,
    SCRIPT: _script,
}
