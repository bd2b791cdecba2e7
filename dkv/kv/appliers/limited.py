"""Values that a command makes out of the ones that were there: how long they may become."""

from __future__ import annotations

from dkv.actor import Turn
from dkv.kv.asks import Ask
from dkv.kv.key_events import Event
from dkv.kv.keyspace import Keyspace
from dkv.kv.stored import Held
from dkv.replies import Error


def too_long(length: int, ask: Ask) -> Error | None:
    """The refusal of a value of this length; None if it may be stored."""
    if length <= ask.bytes_max:
        return None
    return Error(f"ERR the value would have {length} bytes, limits.value_bytes_max is {ask.bytes_max}")


def store_changed(
    keyspace: Keyspace, turn: Turn, ask: Ask, key: bytes, held: Held | None, value: bytes, event: Event
) -> Error | None:
    """Store the value in place of the one that ``held`` is, with its deadline; an error if it is too long.

    It is told as ``event``.
    """
    refusal = too_long(len(value), ask)
    if refusal is None:
        keyspace.store(turn, ask.db, key, value, 0 if held is None else held.deadline, event)
    return refusal
