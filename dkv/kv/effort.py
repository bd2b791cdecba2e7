"""Effort: what a transaction, or a command on many keys, takes to be applied, and how much is too much at once.

All nodes apply a slot without a pause, and do nothing else meanwhile. Most commands are soon done. A transaction, or a
command on many keys, may have thousands of commands and keys, and large values behind these: nobody knows before. So
the effort is counted while it is done. What reaches the limit ends there, and is undone.

The effort is in bytes, of keys and values that are read and written, with something for each look at them. It follows
from the entry and from what is stored. It must not depend on what one node remembers, such as what it has read before:
then one node would refuse what others do.
"""

from __future__ import annotations

from sys import maxsize

from dkv.kv.codes import EXEC, SCRIPT, UNIFORM_FROM
from dkv.records import UncheckedEntry
from dkv.replies import Error
from dkv.settings import KIB, MIB

EFFORT_MAX = 48 * MIB
"""A constant of the format: how much is done at once."""

LOOK = 1 * KIB
"""A constant of the format: what a command, and each look at a key and each write of one, counts for beside bytes."""

PAGE = 12 * LOOK
"""A constant of the format: what a page of keys counts for beside what is on it."""

ARGUMENTS_FEW = 32
"""A constant of the format: a command with no more arguments is soon done, whatever the values are."""

TOO_MUCH = Error("ERR this would take too long at once, and nothing of it was done: split it into smaller requests")


class TooMuch(Exception):
    """It is to be undone."""


class Effort:
    """The effort of what is done."""

    def __init__(self) -> None:
        self.spent = 0
        """All of it, since this process began."""
        self._limit = maxsize  # Only what may be too much is limited.

    def begin(self) -> None:
        """Something begins that may be too much."""
        self._limit = self.spent + EFFORT_MAX

    def end(self) -> None:
        """It is done, or undone."""
        self._limit = maxsize

    def take(self, effort: int) -> None:
        """Count what is done next, or was just done; ``TooMuch`` if the limit is reached."""
        self.spent += effort
        if self.spent > self._limit:
            raise TooMuch


def may_be_too_much(entry: UncheckedEntry) -> bool:
    """Whether the effort of an entry is limited: of a transaction, of a script, and of many keys.

    Not in formats 1 to 5: nodes of older versions do it in any case.
    """
    code = entry[0]
    return code in (EXEC, SCRIPT) or (len(entry) > 3 + ARGUMENTS_FEW and type(code) is int and code >= UNIFORM_FROM)
