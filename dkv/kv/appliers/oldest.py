"""The commands that dkv has had from the beginning: plain SET, GET, APPEND and DEL, in any database."""

from __future__ import annotations

from dkv.actor import Turn
from dkv.kv.asks import UNKNOWN, Applier, Ask
from dkv.kv.codes import ERASE, EXTEND, PUT, READ
from dkv.kv.key_events import APPENDED
from dkv.kv.keyspace import Keyspace
from dkv.replies import OK, Error, Result


def put(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Set a key, without a deadline."""
    match ask.arguments:
        case [bytes() as key, bytes() as value]:
            keyspace.store(turn, ask.db, key, value)
            return OK
    return UNKNOWN


def read(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """The value of a key, or nil."""
    match ask.arguments:
        case [bytes() as key]:
            return keyspace.value(turn, ask.db, key)
    return UNKNOWN


def extend(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Append to a value, which keeps its deadline; the new length."""
    match ask.arguments:
        case [bytes() as key, bytes() as suffix]:
            held = keyspace.load(turn, ask.db, key)
            value = suffix if held is None else held.value + suffix
            if len(value) > ask.bytes_max:
                return Error(f"ERR the value would have {len(value)} bytes, limits.value_bytes_max is {ask.bytes_max}")
            keyspace.store(turn, ask.db, key, value, 0 if held is None else held.deadline, APPENDED)
            return len(value)
    return UNKNOWN


def erase(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Delete keys; how many of them existed."""
    keys = [key for key in ask.arguments if type(key) is bytes]
    if not keys or len(keys) != len(ask.arguments):
        return UNKNOWN
    return sum(keyspace.erase(turn, ask.db, key) for key in keys)


APPLIERS: dict[int, Applier] = {PUT: put, READ: read, EXTEND: extend, ERASE: erase}
