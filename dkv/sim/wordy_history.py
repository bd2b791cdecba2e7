"""What the clients with all words asked and were told, as a history for the checker.

Deadlines are kept by the replicated time, which may go faster than the time of the run: as much earlier may a key go
(``early_seconds``). How late it goes is not judged, since a read tells the time of the last slot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import Any

from dkv.kv import codes
from dkv.replies import ABORTED, OK, Error, Simple
from dkv.sim.fields import ERROR
from dkv.sim.history import Operation
from dkv.sim.joint import Tolerance
from dkv.sim.linearize import check
from dkv.sim.requests import NOT_APPLIED

STEPS_MAX = 20_000
"""A run whose search takes more steps is not judged: there are enough others."""
EXECUTED = "was executed"
"""In a refusal of what was executed, and whose results are too large to be told."""
NO_SUCH_KEY = "ERR no such key"
_CONDITIONS: dict[int, Any] = {codes.ANY: None, codes.IF_ABSENT: "absent", codes.IF_PRESENT: "present"}
_DEADLINES = {0: None, codes.ONLY_FIRST: "none", codes.ONLY_ANOTHER: "some"}

Acts = list[tuple[Any, ...]]
Told = tuple[Acts, list[Any]]
"""Acts, and the result of each."""


@dataclass(slots=True, eq=False)
class Asked:
    """One request and its fate. ``watches`` has the times of the WATCH of each key that an EXEC names."""

    client: int
    entry: Any
    called: float
    watches: Sequence[tuple[float, float]] = ()
    returned: float | None = None
    reply: Any = None


def judge_words(asked: Iterable[Asked], early_seconds: float) -> str | None:
    """A sentence about an answer that no linearizable store would give; None if there is none, or it is too hard."""
    verdict = check(history_of(asked), STEPS_MAX, Tolerance(early_seconds, inf))
    if verdict.linearizable or verdict.undecided:
        return None
    return f"the history of all words is not linearizable: {verdict.proof.sentence}"


def early_seconds(stamps: Iterable[int], chosen_at: Iterable[float]) -> float:
    """How much more than the time of the run the replicated time passed, at most, between any two slots."""
    time, most, least = 0, 0.0, inf
    for stamp, moment in zip(stamps, chosen_at, strict=True):
        time = max(time, stamp)
        if time:
            offset = time / 1000 - moment
            least = min(least, offset)
            most = max(most, offset - least)
    return most + 0.001


def history_of(asked: Iterable[Asked]) -> Iterator[Operation]:
    """The operations that took effect, or may have."""
    asked = list(asked)
    tokens = Counter(repr(each.entry) for each in asked if each.entry[0] == codes.IDMP)
    for each in asked:
        entry = each.entry[3] if each.entry[0] == codes.IDMP else each.entry
        reply, returned = each.reply, each.returned
        if isinstance(reply, Error) and not (_is_rename(entry) and reply.text == NO_SUCH_KEY):
            if reply.text.startswith(NOT_APPLIED) and EXECUTED not in reply.text:
                continue
            returned = None
        if tokens[repr(each.entry)] > 1:
            returned = None  # it was executed once at least, and nobody knows whose it was
        if returned is None:
            guesses = _guesses(entry)
        else:
            guesses = [] if reply == ABORTED else [reply]
        for guess in guesses:
            acts, results = _told(entry, guess)
            guards = _guards(entry, each.watches)
            if acts:
                told = None if returned is None else tuple(results)
                yield Operation(each.client, "atomic", b"", (*guards, *acts), each.called, returned, told)


def _is_rename(entry: Any) -> bool:
    return entry[0] in (codes.RENAME, codes.RENAMENX)


def _guards(entry: Any, watches: Sequence[tuple[float, float]]) -> Acts:
    if entry[0] != codes.EXEC:
        return []
    pairs = zip(entry[3], watches, strict=True)
    return [("unchanged", _name(db, key), *times) for (db, key, *_), times in pairs]


def _guesses(entry: Any) -> list[Any]:
    """Replies that stand for all that the entry may have done, if it was executed."""
    if entry[0] == codes.EXEC:
        return [list(each) for each in product(*map(_guesses, entry[4]))]
    return [1, 0] if entry[0] in (codes.MSETNX, codes.EXPIRE) else [None]


def _name(db: int, key: bytes) -> bytes:
    return b"%d/%b" % (db, key)


def _told(entry: Any, reply: Any) -> Told:
    """What an executed entry did, and what it told; ``reply`` may be a guess, whose results do not matter."""
    code, *words = entry
    if code == codes.EXEC:
        acts: Acts = []
        results: list[Any] = []
        for each, its_reply in zip(entry[4], reply, strict=True):
            some, told = _told(each, its_reply)
            failed = isinstance(its_reply, Error) and not _is_rename(each)
            acts += some
            results += [ERROR] * len(some) if failed else told
        return acts, results
    db, arguments = (words[0], words[2:]) if code >= codes.UNIFORM_FROM else (0, words)
    names = [_name(db, word) if isinstance(word, bytes) else b"" for word in arguments]
    if code in (codes.MSET, codes.MSETNX, codes.MGET):
        return _many(code, names, arguments, reply)
    if code in (codes.EXPIRE, codes.PERSIST, codes.TTL, codes.GETEX, codes.GETDEL):
        return _living(code, names[0], arguments[1:], reply)
    return _one(code, db, names, arguments, reply)


def _many(code: int, names: list[bytes], arguments: list[Any], reply: Any) -> Told:
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


def _living(code: int, name: bytes, arguments: list[Any], reply: Any) -> Told:
    """Commands about a deadline; and GETDEL, which is two acts as GETEX is."""
    match code:
        case codes.PERSIST:
            return [("expire", name, None, None)], [bool(reply)]
        case codes.GETDEL:
            return [("get", name), ("delete", name)], [reply, int(reply is not None)]
        case codes.GETEX:
            life, milliseconds = arguments
            seconds = None if life == codes.NEVER_DIES else milliseconds / 1000
            return [("get", name), ("expire", name, seconds, None)], [reply, None]
        case codes.EXPIRE:
            _, milliseconds, condition = arguments
            if condition in _DEADLINES:
                return [("expire", name, milliseconds / 1000, _DEADLINES[condition])], [bool(reply)]
            return ([("expire", name, milliseconds / 1000, None)], [True]) if reply else ([], [])
    if reply is None or reply < 0:
        return [("ttl", name)], [False if reply == -2 else None]
    return ([("ttl", name)], [reply / 1000]) if arguments == [1] else ([("exists", name)], [1])


def _one(code: int, db: int, names: list[bytes], arguments: list[Any], reply: Any) -> Told:
    acts: Acts
    result = reply
    match code:
        case codes.SET:
            value, condition, operand, life, milliseconds, get = arguments[1:]
            word = "equals" if condition == codes.IF_EQUAL else "differs"
            asks = _CONDITIONS.get(condition, (word, operand))
            lives = {codes.NO_LIFE: None, codes.KEEP_LIFE: "keep", codes.RELATIVE: milliseconds / 1000}
            acts = [("set", names[0], value, asks, lives[life], bool(get))]
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
            return [], []  # DBSIZE, TIME and WATCH are about no single key
    return acts, [result]
