"""Which acts of a history an entry of the log stands for, and the results that its answer tells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from dkv.kv import codes
from dkv.replies import OK, Error, Simple
from dkv.sim.fields import ERROR

NO_SUCH_KEY = Error("ERR no such key")
UNTOLD = {
    codes.RANDOMKEY: "it may tell any key, those of other clients too",
    codes.KEYS: "it is about all keys, those of other clients too",
    codes.SCAN: "its answers are no view of one moment",
    codes.DBSIZE: "it counts keys that are gone and not erased yet",
    codes.KEYSPACE: "it counts such keys, too",
    codes.OBJECT: "it tells what no act changes",
    codes.MEMORY: "it tells what no act changes",
    codes.TIME: "it is about no key",
    codes.WATCH: "its times are in the EXEC that follows",
    codes.SCRIPT: "its keys are touched by scripts alone, and the second state machine judges what they answer",
}
"""The entries that become no act, with the reason."""
_CONDITIONS: dict[int, Any] = {codes.ANY: None, codes.IF_ABSENT: "absent", codes.IF_PRESENT: "present"}
_DEADLINES = {
    0: None,
    codes.ONLY_FIRST: "none",
    codes.ONLY_ANOTHER: "some",
    codes.ONLY_LATER: "later",
    codes.ONLY_EARLIER: "earlier",
}

NO_EFFECT = object()
"""A guess at the reply of an entry inside an EXEC: whatever it was, the entry changed nothing."""

Acts = list[tuple[Any, ...]]
Results = tuple[Acts, list[Any]]
"""Acts, and the result of each."""


def is_missing(entry: Any, reply: Any) -> bool:
    """Whether it is a RENAME, and told that the key is absent."""
    return entry[0] in (codes.RENAME, codes.RENAMENX) and reply == NO_SUCH_KEY


def guards_of(entry: Any, watches: Sequence[tuple[float, float]]) -> Acts:
    """The keys that an EXEC watches, with the times of each WATCH."""
    if entry[0] != codes.EXEC:
        return []
    pairs = zip(entry[3], watches, strict=True)
    return [("unchanged", _name(db, key), *times) for (db, key, *_), times in pairs]


def guesses_of(entry: Any) -> list[Any]:
    """Replies that stand for all that the entry may have done, if it was executed."""
    if entry[0] != codes.EXEC:
        return [None]
    return [list(each) for each in product(*map(_inner_guesses, entry[4]))]


def _inner_guesses(entry: Any) -> list[Any]:
    # What is there before does not say whether an MSETNX is refused, as an act has no "if any of these is there"; nor
    # whether one deadline is later than another, as they are known as intervals.
    compares = entry[0] == codes.EXPIRE and entry[-1] in (codes.ONLY_LATER, codes.ONLY_EARLIER)
    return [None, NO_EFFECT] if compares or entry[0] == codes.MSETNX else [None]


def acts_of(entry: Any, reply: Any) -> tuple[Acts, list[Any] | None]:
    """The acts of an executed entry, and what each that is no guard told; None if a guard did not hold.

    ``reply`` may be a guess: then the results mean nothing.
    """
    if entry[0] == codes.EXEC:
        return _together(entry[4], reply)
    if entry[0] == codes.MSETNX:
        acts, _ = _told(entry, 1)
        guards: Acts = [("absent", name) for _, name, *_ in acts]
        puts: Acts = [("put", name, value) for _, name, value, *_ in acts]
        return [*guards, *puts], None if reply == 0 else [None] * len(puts)
    return _told(entry, reply)


def _together(entries: Any, replies: Any) -> Results:
    acts: Acts = []
    results: list[Any] = []
    for entry, reply in zip(entries, replies, strict=True):
        some, told = _told(entry, reply)
        acts += some
        failed = isinstance(reply, Error) and not is_missing(entry, reply)
        results += [ERROR] * len(some) if failed else told
    return acts, results


def _name(db: int, key: bytes) -> bytes:
    return b"%d/%b" % (db, key)


def _told(entry: Any, reply: Any) -> Results:
    code, *words = entry
    if code in UNTOLD or reply is NO_EFFECT:
        return [], []
    db, arguments = (words[0], words[2:]) if code >= codes.UNIFORM_FROM else (0, words)
    names = [_name(db, word) if isinstance(word, bytes) else b"" for word in arguments]
    if code == codes.FLUSHALL:
        return [("flush", _name(each, b"")) for each in range(codes.DATABASES)], [None] * codes.DATABASES
    if code in (codes.MSET, codes.MSETNX, codes.MGET):
        return _many(code, names, arguments, reply)
    if code in (codes.EXPIRE, codes.PERSIST, codes.TTL, codes.GETEX, codes.GETDEL):
        return _living(code, names[0], arguments[1:], reply)
    return _one(code, db, names, arguments, reply)


def _seconds(life: int, milliseconds: int) -> Any:
    """The life that an act has. What is left until a time of day is not known here."""
    assert life != codes.ABSOLUTE, "the clients give no times of day"
    if life == codes.KEEP_LIFE:
        return "keep"
    return milliseconds / 1000 if life == codes.RELATIVE else None


def _many(code: int, names: list[bytes], arguments: list[Any], reply: Any) -> Results:
    if code == codes.MGET:
        return [("get", name) for name in names], reply if isinstance(reply, list) else []
    if code == codes.MSETNX and reply == 0:
        # That one of its keys was there is not told: it would take an act for "any of these".
        return [], []
    pairs = dict(zip(names[::2], arguments[1::2], strict=True))
    free: Acts = [("set", name, value, "absent", None, False) for name, value in pairs.items()]
    if code == codes.MSETNX:
        return free, [True] * len(free)
    return [("put", name, value) for name, value in pairs.items()], [None] * len(pairs)


def _living(code: int, name: bytes, arguments: list[Any], reply: Any) -> Results:
    """Commands about a deadline; and GETDEL, which is two acts as GETEX is."""
    match code:
        case codes.PERSIST:
            return [("expire", name, None, None)], [bool(reply)]
        case codes.GETDEL:
            return [("get", name), ("delete", name)], [reply, int(reply is not None)]
        case codes.GETEX:
            life, milliseconds = arguments
            return [("get", name), ("expire", name, _seconds(life, milliseconds), None)], [reply, None]
        case codes.EXPIRE:
            life, milliseconds, condition = arguments
            return [("expire", name, _seconds(life, milliseconds), _DEADLINES[condition])], [bool(reply)]
    if reply is None or reply < 0:
        return [("ttl", name)], [False if reply == -2 else None]
    return ([("ttl", name)], [reply / 1000]) if arguments == [1] else ([("exists", name)], [1])


def _one(code: int, db: int, names: list[bytes], arguments: list[Any], reply: Any) -> Results:
    acts: Acts
    result = reply
    match code:
        case codes.SET:
            value, condition, operand, life, milliseconds, get = arguments[1:]
            word = "equals" if condition == codes.IF_EQUAL else "differs"
            asks = _CONDITIONS.get(condition, (word, operand))
            acts = [("set", names[0], value, asks, _seconds(life, milliseconds), bool(get))]
            result = reply if get else reply == OK
        case codes.SETNX:
            acts, result = [("set", names[0], arguments[1], "absent", None, False)], bool(reply)
        case codes.PUT:
            acts, result = [("put", names[0], arguments[1])], None
        case codes.GET | codes.READ:
            acts = [("get", names[0])]
        case codes.APPEND | codes.EXTEND:
            acts = [("append", names[0], arguments[1])]
        case codes.DELETE | codes.ERASE:
            acts = [("delete", *names)]
        case codes.EXISTS:
            acts = [("exists", *names)]
        case codes.TYPE:
            acts, result = [("exists", names[0])], int(reply == Simple("string"))
        case codes.STRLEN:
            acts = [("strlen", names[0])]
        case codes.GETRANGE:
            acts = [("getrange", names[0], *arguments[1:])]
        case codes.SETRANGE:
            acts = [("setrange", names[0], *arguments[1:])]
        case codes.INCRBY:
            acts = [("incr", names[0], arguments[1])]
        case codes.INCRBYFLOAT:
            acts = [("add", names[0], arguments[1])]
        case codes.RENAME | codes.RENAMENX:
            acts = [("rename", names[0], names[1], code == codes.RENAME)]
            result = reply in (OK, 1)
        case codes.COPY:
            _, other, other_db, replaces = arguments
            acts, result = [("copy", names[0], _name(other_db, other), bool(replaces))], bool(reply)
        case codes.FLUSHDB:
            acts, result = [("flush", _name(db, b""))], None
        case _:
            raise AssertionError(f"entries with the code {code} have no acts")
    return acts, [result]
