"""What the commands of the log mean, a second time: the results that clients must be given, and what is stored.

It knows the entries that nodes make of requests. Of others it says nothing more than that they are unknown.
"""

from __future__ import annotations

from enum import Enum, auto
from fractions import Fraction
from re import compile as compiled
from typing import Any, Final

from dkv.kv import codes, transactions
from dkv.kv.asks import UNKNOWN
from dkv.kv.effort import TOO_MUCH
from dkv.replies import ABORTED, OK, TOO_LONG, Error, Result, Simple, Watched, result_bytes
from dkv.sim import second_scripts
from dkv.sim.second_events import with_events
from dkv.sim.second_keys import ABSENT, SecondKeys, StoredKey


class Unjudged(Enum):
    """Stands for the result of an entry about which nothing is said here."""

    UNJUDGED = auto()


UNJUDGED: Final = Unjudged.UNJUDGED

Judged = Result | Unjudged

_OLD = {codes.PUT: codes.SET, codes.APPEND: codes.EXTEND, codes.DELETE: codes.ERASE, codes.GET: codes.READ}
_INTEGER = compiled(rb"0|-?[1-9][0-9]{0,18}")
_DECIMAL = compiled(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")
NO_INTEGER = Error("ERR value is not an integer or out of range")
NO_DECIMAL = Error("ERR value is not a valid float")
OVERFLOW = Error("ERR increment or decrement would overflow")
NO_SUCH_KEY = Error("ERR no such key")
TOO_MANY = Error("ERR the values of these keys are too large to be sent together: ask for fewer keys at once")


def execute(keys: SecondKeys, entry: Any) -> Any:
    """The result of an entry that needs no token, ``Judged``."""
    code = entry[0]
    if code in _OLD:
        arguments = entry[1:-1] if code == codes.APPEND else entry[1:]
        return _do(keys, _OLD[code], 0, entry[-1] if code == codes.APPEND else 0, arguments)
    if code == codes.EXEC:
        return _exec(keys, entry[3], entry[4])
    if code < codes.UNIFORM_FROM:
        return UNKNOWN
    return _do(keys, code, entry[1], entry[2], entry[3:])


def _exec(keys: SecondKeys, watched: Any, entries: Any) -> Result:
    for db, key, slot, index, seen in watched:
        if not keys.is_as_it_was(db, key, (slot, index), seen):
            return ABORTED
    tried = keys.copy()
    results: list[Result] = [execute(tried, entry) for entry in entries]
    if sum(map(result_bytes, results)) > transactions.ANSWER_BYTES_MAX:
        return TOO_MUCH
    keys.become(tried)
    return results


def _do(keys: SecondKeys, code: int, db: int, bytes_max: int, arguments: Any) -> Any:
    if code == codes.SCRIPT:
        return second_scripts.run(keys, db, arguments, lambda called, words: _do(keys, called, db, bytes_max, words))
    return with_events(keys, code, db, arguments, lambda: _result(keys, code, db, bytes_max, arguments))


def _result(keys: SecondKeys, code: int, db: int, bytes_max: int, arguments: Any) -> Result:
    for family in (_of_one_key, _of_numbers_and_pieces, _of_deadlines, _of_several_keys, _of_databases):
        result = family(keys, code, db, bytes_max, arguments)
        if result is not UNKNOWN:
            return result
    return UNKNOWN


def _too_long(length: int, bytes_max: int) -> Error:
    return Error(f"ERR the value would have {length} bytes, limits.value_bytes_max is {bytes_max}")


def _value(held: StoredKey | None) -> bytes | None:
    return None if held is None else held.value


def _deadline(keys: SecondKeys, life: int, ms: int, held: StoredKey | None) -> int:
    """The deadline that a life gives; one that is at or below 0 has passed, whatever the time."""
    if life == codes.KEEP_LIFE:
        return 0 if held is None else held.deadline
    if life in (codes.NO_LIFE, codes.NEVER_DIES):
        return 0
    return (keys.time + ms if life == codes.RELATIVE else ms) or -1


def _of_one_key(keys: SecondKeys, code: int, db: int, bytes_max: int, arguments: Any) -> Result:
    match code, arguments:
        case codes.READ, [key]:
            return _value(keys.get(db, key))
        case codes.SET, [key, value]:
            keys.set(db, key, value)
            return OK
        case codes.SET, [key, value, condition, operand, life, ms, get]:
            held = keys.get(db, key)
            met = (
                condition == codes.ANY
                or (condition == codes.IF_ABSENT and held is None)
                or (condition == codes.IF_PRESENT and held is not None)
                or (condition == codes.IF_EQUAL and _value(held) == operand)
                or (condition == codes.IF_UNEQUAL and _value(held) != operand)
            )
            if met:
                keys.set(db, key, value, _deadline(keys, life, ms, held))
            return _value(held) if get else OK if met else None
        case codes.SETNX, [key, value]:
            absent = keys.get(db, key) is None
            if absent:
                keys.set(db, key, value)
            return int(absent)
        case codes.GETDEL, [key]:
            held = keys.get(db, key)
            if held is not None:
                keys.erase(db, key)
            return _value(held)
        case codes.STRLEN, [key]:
            return len(_value(keys.get(db, key)) or b"")
        case codes.TYPE, [key]:
            return Simple("none" if keys.get(db, key) is None else "string")
    return UNKNOWN


def _of_numbers_and_pieces(keys: SecondKeys, code: int, db: int, bytes_max: int, arguments: Any) -> Result:
    def change(key: bytes, value: bytes, result: Result) -> Result:
        if len(value) > bytes_max:
            return _too_long(len(value), bytes_max)
        held = keys.get(db, key)
        keys.set(db, key, value, 0 if held is None else held.deadline)
        return result

    match code, arguments:
        case codes.EXTEND, [key, suffix]:
            value = (_value(keys.get(db, key)) or b"") + suffix
            return change(key, value, len(value))
        case codes.INCRBY, [key, by]:
            before = _value(keys.get(db, key))
            if before is not None and (not _INTEGER.fullmatch(before) or not _is_64_bits(int(before))):
                return NO_INTEGER
            total = int(before or b"0") + by
            return change(key, b"%d" % total, total) if _is_64_bits(total) else OVERFLOW
        case codes.INCRBYFLOAT, [key, text]:
            before = _value(keys.get(db, key))
            if not _DECIMAL.fullmatch(b"0" if before is None else before):
                return NO_DECIMAL
            total_text = _added(before or b"0", text)
            return change(key, total_text, total_text)
        case codes.GETRANGE, [key, start, end]:
            value = _value(keys.get(db, key)) or b""
            if start < 0 and end < 0 and start > end:
                return b""
            first = max(start + len(value) if start < 0 else start, 0)
            last = max(end + len(value) if end < 0 else end, 0)
            return value[first : last + 1]
        case codes.SETRANGE, [key, offset, piece]:
            value = _value(keys.get(db, key)) or b""
            if not piece:
                return len(value)
            end = offset + len(piece)
            if end > bytes_max:
                return _too_long(end, bytes_max)
            value = value.ljust(offset, b"\0")[:offset] + piece + value[end:]
            return change(key, value, len(value))
    return UNKNOWN


def _is_64_bits(number: int) -> bool:
    return -(2**63) <= number < 2**63


def _added(value: bytes, by: bytes) -> bytes:
    """The sum of two decimal numbers, to 17 digits behind the point, in its shortest form."""
    total = round((Fraction(value.decode()) + Fraction(by.decode())) * 10**17)
    digits = f"{abs(total):018d}"
    text = f"{digits[:-17]}.{digits[-17:]}".rstrip("0").rstrip(".")
    return (b"-" if total < 0 else b"") + text.encode()


def _of_deadlines(keys: SecondKeys, code: int, db: int, bytes_max: int, arguments: Any) -> Result:
    match code, arguments:
        case codes.GETEX, [key, life, ms]:
            held = keys.get(db, key)
            if held is not None and (held.deadline or life != codes.NEVER_DIES):
                keys.set(db, key, held.value, _deadline(keys, life, ms, held))
            return _value(held)
        case codes.EXPIRE, [key, life, ms, conditions]:
            held = keys.get(db, key)
            if held is None:
                return 0
            moment, before = _deadline(keys, life, ms, held), held.deadline
            refused = (
                (conditions & codes.ONLY_FIRST and before)
                or (conditions & codes.ONLY_ANOTHER and not before)
                or (conditions & codes.ONLY_LATER and (not before or moment <= before))
                or (conditions & codes.ONLY_EARLIER and before and moment >= before)
            )
            if refused:
                return 0
            keys.set(db, key, held.value, moment)
            return 1
        case codes.PERSIST, [key]:
            held = keys.get(db, key)
            if held is None or not held.deadline:
                return 0
            keys.set(db, key, held.value)
            return 1
        case codes.TTL, [key, kind]:
            held = keys.get(db, key)
            if held is None:
                return -2
            if not held.deadline:
                return -1
            ms = held.deadline if kind >= 2 else held.deadline - keys.time
            return ms if kind in (1, 3) else (ms + 500) // 1000
    return UNKNOWN


def _of_several_keys(keys: SecondKeys, code: int, db: int, bytes_max: int, arguments: Any) -> Result:
    pairs = list(zip(arguments[::2], arguments[1::2], strict=False))
    match code, arguments:
        case codes.ERASE, names:
            return sum(keys.erase(db, key) for key in names)
        case codes.MGET, names:
            values: list[Result] = [_value(keys.get(db, key)) for key in names]
            return values if sum(map(result_bytes, values)) <= transactions.ANSWER_BYTES_MAX else TOO_MANY
        case codes.EXISTS, names:
            return sum(keys.get(db, key) is not None for key in names)
        case codes.MSET | codes.MSETNX, names:
            if code == codes.MSETNX and any(keys.get(db, key) is not None for key in names[::2]):
                return 0
            for key, value in pairs:
                keys.set(db, key, value)
            return OK if code == codes.MSET else 1
        case codes.RENAME | codes.RENAMENX, [source, to]:
            held = keys.get(db, source)
            if held is None:
                return NO_SUCH_KEY
            if code == codes.RENAMENX and keys.get(db, to) is not None:
                return 0
            if source != to:
                keys.erase(db, source)
                keys.set(db, to, held.value, held.deadline)
            return OK if code == codes.RENAME else 1
        case codes.COPY, [source, to, to_db, replace]:
            held = keys.get(db, source)
            if held is None or (not replace and keys.get(to_db, to) is not None):
                return 0
            keys.set(to_db, to, held.value, held.deadline)
            return 1
    return UNKNOWN


def _of_databases(keys: SecondKeys, code: int, db: int, bytes_max: int, arguments: Any) -> Result:
    match code, arguments:
        case codes.WATCH, names:
            held = [keys.get(db, key) for key in names]
            return Watched(keys.seen, tuple(ABSENT if each is None else each.revision for each in held))
        case codes.DBSIZE, []:
            return keys.counts(db)[0]
        case codes.FLUSHDB | codes.FLUSHALL, []:
            flushed = keys.flush(range(codes.DATABASES) if code == codes.FLUSHALL else (db,))
            return OK if flushed else UNKNOWN
        case codes.NOTIFY, [letters]:
            keys.want(letters)
            return OK
        case codes.KEYS, [pattern]:
            return TOO_LONG if keys.are_too_many(db, pattern) else [*keys.matching(db, pattern)]
        case codes.TIME, []:
            return [b"%d" % (keys.time // 1000), b"%d" % (keys.time % 1000 * 1000)]
        case codes.KEYSPACE, []:
            counted = [(each, *keys.counts(each)) for each in range(codes.DATABASES)]
            return [[each, held, mortal] for each, held, mortal in counted if held]
    return UNKNOWN
