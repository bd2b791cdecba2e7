"""The deadlines of keys: how an entry says what becomes of one, and the commands that are about nothing else."""

from __future__ import annotations

from dkv.actor import Turn
from dkv.kv.asks import UNKNOWN, Applier, Ask
from dkv.kv.codes import (
    ABSOLUTE,
    EXPIRE,
    KEEP_LIFE,
    NEVER_DIES,
    NO_LIFE,
    ONLY_ANOTHER,
    ONLY_EARLIER,
    ONLY_FIRST,
    ONLY_LATER,
    PERSIST,
    RELATIVE,
    TTL,
)
from dkv.kv.key_events import EXPIRES, PERSISTS
from dkv.kv.keyspace import Keyspace
from dkv.kv.stored import Held
from dkv.replies import Result

_LONG_AGO = -1  # at or below every time; 0 stands for no deadline
_ALL_CONDITIONS = ONLY_FIRST | ONLY_ANOTHER | ONLY_LATER | ONLY_EARLIER
_ABSENT, _IMMORTAL = -2, -1  # Redis's answers to TTL


def deadline(life: int, milliseconds: int, held: Held | None, time: int) -> int:
    """The deadline that a life (``dkv.kv.codes``) gives to a key that was ``held`` so far; 0 is none.

    It may lie at or below the ``time``: then the key is to be erased at once.
    """
    if life == KEEP_LIFE:
        return 0 if held is None else held.deadline
    if life in (NO_LIFE, NEVER_DIES):
        return 0
    moment = milliseconds + (time if life == RELATIVE else 0)
    return moment if moment > 0 else _LONG_AGO


def expire(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Set the deadline of a key that exists, if the conditions are met; 1, or 0."""
    match ask.arguments:
        case [bytes() as key, int() as life, int() as milliseconds, int() as conditions]:
            if life not in (RELATIVE, ABSOLUTE) or not 0 <= conditions <= _ALL_CONDITIONS:
                return UNKNOWN
            held = keyspace.load(turn, ask.db, key)
            if held is None:
                return 0
            moment = deadline(life, milliseconds, held, keyspace.time)
            if not _is_met(conditions, held.deadline, moment):
                return 0
            keyspace.store(turn, ask.db, key, held.value, moment, EXPIRES)
            return 1
    return UNKNOWN


def _is_met(conditions: int, before: int, moment: int) -> bool:
    """Whether a deadline may be replaced. A key that has none lives longer than any other."""
    if conditions & ONLY_FIRST and before:
        return False
    if conditions & ONLY_ANOTHER and not before:
        return False
    if conditions & ONLY_LATER and (not before or moment <= before):
        return False
    return not (conditions & ONLY_EARLIER and before and moment >= before)


def persist(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Take the deadline of a key away; 1, or 0 if it has none."""
    match ask.arguments:
        case [bytes() as key]:
            held = keyspace.load(turn, ask.db, key)
            if held is None or not held.deadline:
                return 0
            keyspace.store(turn, ask.db, key, held.value, 0, PERSISTS)
            return 1
    return UNKNOWN


def ttl(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """How long a key lives, or until when, in seconds or milliseconds, as ``dkv.kv.codes`` numbers the kinds."""
    match ask.arguments:
        case [bytes() as key, int() as kind] if kind in range(4):
            held = keyspace.load(turn, ask.db, key)
            if held is None:
                return _ABSENT
            if not held.deadline:
                return _IMMORTAL
            milliseconds = held.deadline - (keyspace.time if kind < 2 else 0)
            return milliseconds if kind % 2 else (milliseconds + 500) // 1000
    return UNKNOWN


APPLIERS: dict[int, Applier] = {EXPIRE: expire, PERSIST: persist, TTL: ttl}
