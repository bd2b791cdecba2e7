"""What an entry asks for, in one form: entries of formats 1 to 5 and those of later ones alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from dkv.actor import Turn
from dkv.kv.codes import APPEND, DATABASES, DELETE, ERASE, EXTEND, GET, PUT, READ, UNIFORM_FROM
from dkv.kv.keyspace import Keyspace
from dkv.records import UncheckedEntry
from dkv.replies import Error, Result

UNKNOWN = Error("ERR the log holds a command that this cluster does not know; it was not applied")


class Ask(NamedTuple):
    """A command for database ``db``. Nobody has looked at the ``arguments``: they may be of any number and type.

    ``bytes_max`` is how long a value may become.
    """

    code: int
    db: int
    bytes_max: int
    arguments: Sequence[object]


Applier = Callable[[Keyspace, Turn, Ask], Result]
"""Does what one command asks for. It is total: ``UNKNOWN``, and nothing is done, for arguments of another shape."""

_OLD = {PUT: PUT, DELETE: ERASE, GET: READ}


def ask_of(entry: UncheckedEntry) -> Ask | None:
    """What an entry asks for; None if it is not even the beginning of a command, or one of tokens or members."""
    code = entry[0] if entry else None
    if type(code) is not int:
        return None
    if code >= UNIFORM_FROM:
        if len(entry) < 3:
            return None
        db, bytes_max = entry[1], entry[2]
        if type(db) is not int or type(bytes_max) is not int or not 0 <= db < DATABASES:
            return None
        return Ask(code, db, bytes_max, entry[3:])
    if code in _OLD:
        return Ask(_OLD[code], 0, 0, entry[1:])
    if code == APPEND and len(entry) == 4 and type(entry[3]) is int:
        return Ask(EXTEND, 0, entry[3], entry[1:3])
    return None
