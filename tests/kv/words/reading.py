"""Requests, written as one types them, and what they become."""

from __future__ import annotations

import shlex

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.commands import interpret
from dkv.kv.registry import Context
from dkv.records import Argument
from dkv.replies import Error, LogRequest
from dkv.settings import Limits

LIMITS = Limits(key_bytes_max=10, value_bytes_max=20)
NO_INTEGER = "ERR value is not an integer or out of range"
SYNTAX = "ERR syntax error"


def words_of(line: str) -> list[bytes]:
    """The words of a line; quotes hold spaces and nothing, as in a shell."""
    return [word.encode("latin-1") for word in shlex.split(line)]


def meant(line: str, db: int = 0) -> object:
    """The entry for a request, or the text of the error that refuses it."""
    made = interpret(words_of(line), Context(LIMITS, db, draw=lambda: 77))
    return made.text if isinstance(made, Error) else made


class ReadingCase(SynchronousTestCase):
    """Tables of requests."""

    def check_entries(self, code: int, *table: tuple[str, list[Argument]]) -> None:
        """Each request is an entry of ``code`` in any database, with these arguments."""
        for line, arguments in table:
            for db in (0, 5):
                made = meant(line, db)
                entry = made.entry if isinstance(made, LogRequest) else made
                self.assertEqual(entry, [code, db, 20, *arguments], line)

    def check_errors(self, *table: tuple[str, str]) -> None:
        """Each request is refused with this text."""
        for line, text in table:
            self.assertEqual(meant(line), text, line)
