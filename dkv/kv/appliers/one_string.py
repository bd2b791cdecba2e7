"""The commands on one string: setting it, on conditions and with deadlines, reading and changing a part of it."""

from __future__ import annotations

from dkv.actor import Turn
from dkv.kv.appliers.expiring import deadline
from dkv.kv.appliers.limited import store_changed, too_long
from dkv.kv.asks import UNKNOWN, Applier, Ask
from dkv.kv.codes import (
    ABSOLUTE,
    ANY,
    CONDITIONS,
    GETDEL,
    GETEX,
    GETRANGE,
    IF_ABSENT,
    IF_EQUAL,
    IF_PRESENT,
    KEEP_LIFE,
    NEVER_DIES,
    NO_LIFE,
    RELATIVE,
    SET,
    SETNX,
    SETRANGE,
    STRLEN,
)
from dkv.kv.key_events import EXPIRED, EXPIRES, OVERWRITTEN_IN_PART, PERSISTS
from dkv.kv.keyspace import Keyspace
from dkv.kv.stored import ABSENT, Held
from dkv.replies import OK, Result

_LIVES = (NO_LIFE, KEEP_LIFE, RELATIVE, ABSOLUTE)


def set_string(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Set a key if its condition is met; OK or nil, or the old value if that is wanted."""
    match ask.arguments:
        case [
            bytes() as key,
            bytes() as value,
            int() as condition,
            bytes() as operand,
            int() as life,
            int() as milliseconds,
            (0 | 1) as get,
        ] if condition in CONDITIONS and life in _LIVES:
            asks_before = condition != ANY or get or life == KEEP_LIFE
            held = keyspace.load(turn, ask.db, key) if asks_before else None
            met = _is_met(condition, operand, held)
            if met:
                moment = deadline(life, milliseconds, held, keyspace.time)
                keyspace.store(turn, ask.db, key, value, moment)
                if life in (RELATIVE, ABSOLUTE):
                    keyspace.events.add(EXPIRES, ask.db, key)
                    if moment <= keyspace.time:
                        keyspace.events.add(EXPIRED, ask.db, key)  # it has lived for no time at all
            if get:
                return None if held is None else held.value
            return OK if met else None
    return UNKNOWN


def _is_met(condition: int, operand: bytes, held: Held | None) -> bool:
    if condition == ANY:
        return True
    if condition in (IF_ABSENT, IF_PRESENT):
        return (held is None) == (condition == IF_ABSENT)
    return (held is not None and held.value == operand) == (condition == IF_EQUAL)


def set_if_absent(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Set a key that does not exist; 1, or 0 if it does."""
    match ask.arguments:
        case [bytes() as key, bytes() as value]:
            if keyspace.revision(turn, ask.db, key) != ABSENT:
                return 0
            keyspace.store(turn, ask.db, key, value)
            return 1
    return UNKNOWN


def get_and_delete(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """The value of a key, which is erased."""
    match ask.arguments:
        case [bytes() as key]:
            value = keyspace.value(turn, ask.db, key)
            if value is not None:
                keyspace.erase(turn, ask.db, key)
            return value
    return UNKNOWN


def get_and_expire(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """The value of a key, whose deadline changes; a key that has none and gets none is not changed."""
    match ask.arguments:
        case [bytes() as key, int() as life, int() as milliseconds] if life in (RELATIVE, ABSOLUTE, NEVER_DIES):
            held = keyspace.load(turn, ask.db, key)
            if held is None:
                return None
            moment = deadline(life, milliseconds, held, keyspace.time)
            if moment or held.deadline:
                keyspace.store(turn, ask.db, key, held.value, moment, EXPIRES if moment else PERSISTS)
            return held.value
    return UNKNOWN


def length(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """How long the value is; 0 if there is none."""
    match ask.arguments:
        case [bytes() as key]:
            return len(keyspace.value(turn, ask.db, key) or b"")
    return UNKNOWN


def part(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """The bytes from ``start`` to ``end``, both inclusive; negative ones count from the end of the value."""
    match ask.arguments:
        case [bytes() as key, int() as start, int() as end]:
            value = keyspace.value(turn, ask.db, key) or b""
            if start < 0 and end < start:
                return b""
            first, last = (place + len(value) if place < 0 else place for place in (start, end))
            return value[max(first, 0) : max(last, 0) + 1]
    return UNKNOWN


def overwrite(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Put bytes into the value at an offset, with zeros between if it is shorter; its length."""
    match ask.arguments:
        case [bytes() as key, int() as offset, bytes() as piece] if offset >= 0:
            held = keyspace.load(turn, ask.db, key)
            before = b"" if held is None else held.value
            if not piece:
                return len(before)
            refusal = too_long(offset + len(piece), ask)
            if refusal is not None:  # and nothing of that length is even made
                return refusal
            value = before[:offset].ljust(offset, b"\0") + piece + before[offset + len(piece) :]
            return store_changed(keyspace, turn, ask, key, held, value, OVERWRITTEN_IN_PART) or len(value)
    return UNKNOWN


APPLIERS: dict[int, Applier] = {
    SET: set_string,
    SETNX: set_if_absent,
    GETDEL: get_and_delete,
    GETEX: get_and_expire,
    STRLEN: length,
    GETRANGE: part,
    SETRANGE: overwrite,
}
