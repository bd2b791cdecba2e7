"""The commands that are about a whole database, or all of them, and the time that these live by."""

from __future__ import annotations

from dkv.actor import Turn
from dkv.kv.asks import UNKNOWN, Applier, Ask
from dkv.kv.codes import DATABASES, DBSIZE, FLUSHALL, FLUSHDB, KEYSPACE, TIME
from dkv.kv.effort import LOOK
from dkv.kv.keyspace import Keyspace
from dkv.replies import OK, Error, Result

COUNT = 160 * LOOK
"""A constant of the format: the effort of DBSIZE, as keys that have expired may have to be counted."""

FLUSH = 8 * LOOK
"""A constant of the format: the effort of a flush for each database."""

NO_SPACE = Error(
    "ERR too many databases that were flushed before are still being erased; nothing was flushed: try again in a moment"
)


def flush_one(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Empty the database."""
    return _flush(keyspace, range(ask.db, ask.db + 1), ask)


def flush_all(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Empty all databases."""
    return _flush(keyspace, range(DATABASES), ask)


def _flush(keyspace: Keyspace, numbers: range, ask: Ask) -> Result:
    if ask.arguments:
        return UNKNOWN
    keyspace.effort.take(FLUSH * len(numbers))
    return OK if keyspace.flush(numbers) else NO_SPACE


def count(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """How many keys the database has."""
    if ask.arguments:
        return UNKNOWN
    keyspace.effort.take(COUNT)
    return keyspace.counts(turn, ask.db)[0]


def tell_time(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """The replicated time of the last applied slot: seconds since 1970, and the microseconds of that second."""
    if ask.arguments:
        return UNKNOWN
    seconds, milliseconds = divmod(keyspace.time, 1000)
    return [b"%d" % seconds, b"%d" % (1000 * milliseconds)]


def counts(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """For each database that holds something: its number, its keys, and how many of them have a deadline."""
    if ask.arguments:
        return UNKNOWN
    counted = [(db, *keyspace.counts(turn, db)) for db in range(DATABASES)]
    return [[db, keys, mortal] for db, keys, mortal in counted if keys]


APPLIERS: dict[int, Applier] = {
    FLUSHDB: flush_one,
    FLUSHALL: flush_all,
    DBSIZE: count,
    TIME: tell_time,
    KEYSPACE: counts,
}
