"""WATCH and EXEC: several commands as one entry of the log, which takes effect only if watched keys are as they were.

A WATCH reads the revisions of its keys and the last slot that was applied with all its changes. The EXEC behind it has
them as arguments, and is judged where it is applied: on every node alike, whoever leads by then. A key is as it was if
it has the same revision, or if it is absent and was so all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeGuard

from dkv.actor import Turn
from dkv.kv.asks import UNKNOWN, Ask
from dkv.kv.codes import DATABASES, IN_EXEC
from dkv.kv.effort import LOOK, TooMuch
from dkv.kv.keyspace import Keyspace
from dkv.kv.stored import ABSENT, Revision
from dkv.records import UncheckedEntry
from dkv.replies import ABORTED, Result, Watched, result_bytes

ANSWER_BYTES_MAX = 32 << 20
"""How much the results of one entry may have together, in bytes. It is a constant of the format."""


def watch(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """The revisions of keys, and the slot in which they were read."""
    keys = [key for key in ask.arguments if type(key) is bytes]
    if not keys or len(keys) != len(ask.arguments):
        return UNKNOWN
    return Watched(keyspace.seen, tuple(keyspace.revision(turn, ask.db, key) for key in keys))


def execute(keyspace: Keyspace, turn: Turn, ask: Ask, apply: Callable[[Turn, UncheckedEntry], Result]) -> Result:
    """The results of all entries, each of which ``apply`` does; ``ABORTED``, and none is done, if a key has changed.

    An entry that fails undoes nothing, and the others are executed. ``TooMuch`` if all of it is to be undone.
    """
    match ask.arguments:
        case [[*keys], [*commands]]:
            watched = [found for each in keys if (found := _watched(each)) is not None]
            entries = [each for each in commands if _may_be_executed(each)]
            if (len(watched), len(entries)) != (len(keys), len(commands)):
                return UNKNOWN
            if not all(_is_as_it_was(keyspace, turn, each) for each in watched):
                return ABORTED
            return _results(keyspace, turn, entries, apply)
    return UNKNOWN


def _results(
    keyspace: Keyspace,
    turn: Turn,
    entries: Sequence[UncheckedEntry],
    apply: Callable[[Turn, UncheckedEntry], Result],
) -> Result:
    results: list[Result] = []
    size = 0
    for entry in entries:
        keyspace.effort.take(LOOK)
        result = apply(turn, entry)
        results.append(result)
        size += result_bytes(result)
        if size > ANSWER_BYTES_MAX:
            raise TooMuch
    return results


class _WatchedKey(NamedTuple):
    """A key that a WATCH has read with this revision; it has seen all changes up to slot ``seen``."""

    db: int
    key: bytes
    revision: Revision
    seen: int


def _watched(argument: object) -> _WatchedKey | None:
    match argument:
        case [int() as db, bytes() as key, int() as slot, int() as index, int() as seen] if 0 <= db < DATABASES:
            return _WatchedKey(db, key, (slot, index), seen)
    return None


def _may_be_executed(entry: object) -> TypeGuard[UncheckedEntry]:
    return type(entry) is list and len(entry) > 0 and type(entry[0]) is int and entry[0] in IN_EXEC


def _is_as_it_was(keyspace: Keyspace, turn: Turn, watched: _WatchedKey) -> bool:
    """Whether a key has not changed since it was read. One that did not exist may have come and gone since."""
    if keyspace.revision(turn, watched.db, watched.key) != watched.revision:
        return False
    return watched.revision != ABSENT or keyspace.gone_since(turn, watched.db, watched.key) <= watched.seen
