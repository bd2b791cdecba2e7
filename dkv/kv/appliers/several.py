"""The commands on several strings at once: each is one entry, so all of it happens, or nothing."""

from __future__ import annotations

from collections.abc import Sequence

from dkv.actor import Turn
from dkv.kv.asks import UNKNOWN, Applier, Ask
from dkv.kv.codes import EXISTS, MGET, MSET, MSETNX
from dkv.kv.keyspace import Keyspace
from dkv.kv.stored import ABSENT
from dkv.kv.transactions import ANSWER_BYTES_MAX
from dkv.replies import OK, Error, Result, result_bytes

TOO_MANY = Error("ERR the values of these keys are too large to be sent together: ask for fewer keys at once")


def get_all(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """The values of keys, nil for those that do not exist."""
    keys = _all_bytes(ask.arguments)
    if not keys:
        return UNKNOWN
    values: list[Result] = []
    size = 0
    for key in keys:
        value = keyspace.value(turn, ask.db, key)
        values.append(value)
        size += result_bytes(value)
        if size > ANSWER_BYTES_MAX:
            return TOO_MANY
    return values


def set_all(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Set keys to values. Of a key that is named more than once the last value is kept."""
    pairs = _all_bytes(ask.arguments)
    if not pairs or len(pairs) % 2:
        return UNKNOWN
    _store(keyspace, turn, ask.db, pairs)
    return OK


def set_all_if_absent(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """The same if none of the keys exists; 1, or 0."""
    pairs = _all_bytes(ask.arguments)
    if not pairs or len(pairs) % 2:
        return UNKNOWN
    if any(keyspace.revision(turn, ask.db, key) != ABSENT for key in pairs[::2]):
        return 0
    _store(keyspace, turn, ask.db, pairs)
    return 1


def count_existing(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """How many of the keys exist; one that is named twice counts twice."""
    keys = _all_bytes(ask.arguments)
    return sum(keyspace.revision(turn, ask.db, key) != ABSENT for key in keys) if keys else UNKNOWN


def _store(keyspace: Keyspace, turn: Turn, db: int, pairs: Sequence[bytes]) -> None:
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        keyspace.store(turn, db, key, value)


def _all_bytes(arguments: Sequence[object]) -> list[bytes]:
    """The arguments, if they are all bytes; else none."""
    words = [word for word in arguments if type(word) is bytes]
    return words if len(words) == len(arguments) else []


APPLIERS: dict[int, Applier] = {
    MGET: get_all,
    MSET: set_all,
    MSETNX: set_all_if_absent,
    EXISTS: count_existing,
}
