"""Requests that take effect at once, on a keyspace in memory."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.appliers.by_code import APPLIERS
from dkv.kv.asks import UNKNOWN, ask_of
from dkv.kv.codes import IN_EXEC
from dkv.kv.commands import interpret
from dkv.kv.keyspace import Keyspace
from dkv.kv.registry import Context
from dkv.records import UncheckedEntry
from dkv.replies import Error, LogRequest, Result, Simple
from dkv.settings import Limits
from tests.kv.words.reading import words_of
from tests.turns import FakeTurn

LIMITS = Limits(key_bytes_max=10, value_bytes_max=100)
TIME = 1_000_000
"""The replicated time when a test begins, in milliseconds."""


class Acting:
    """A keyspace, and the requests of one client after another."""

    def __init__(self) -> None:
        self.turn = FakeTurn()
        self.keyspace = Keyspace()
        self.keyspace.start(self.turn)
        self.slot = 0
        self.at(TIME)

    def at(self, time: int) -> None:
        """What follows is in a new slot with this time."""
        self.slot += 1
        self.keyspace.begin_slot(self.turn, self.slot, time)

    def apply(self, entry: UncheckedEntry) -> Result:
        """The result of an entry."""
        ask = ask_of(entry)
        return UNKNOWN if ask is None else APPLIERS[ask.code](self.keyspace, self.turn, ask)

    def do(self, line: str, db: int = 0) -> Result:
        """The result of a request."""
        entry = interpret(words_of(line), Context(LIMITS, db))
        if isinstance(entry, LogRequest):
            entry = entry.entry
        assert isinstance(entry, list), entry
        self.keyspace.index += 1
        return self.apply(entry)

    def deadline(self, key: bytes, db: int = 0) -> int | None:
        """The deadline of a key, 0 if it has none; None if it does not exist."""
        held = self.keyspace.load(self.turn, db, key)
        return None if held is None else held.deadline


class ActingCase(SynchronousTestCase):
    """Tables of requests, each with its result."""

    def setUp(self) -> None:
        self.acting = Acting()

    def check(self, *table: tuple[str, object], db: int = 0) -> None:
        """Do each request in turn; a text in place of a result is that of an error, or a status word."""
        for line, wanted in table:
            result = self.acting.do(line, db)
            self.assertEqual(result.text if isinstance(result, Error | Simple) else result, wanted, line)

    def check_shapes(self, code: int, arguments: list[object]) -> None:
        """Only arguments of this number and these types are those of the command: all others change nothing."""
        self.assertIn(code, IN_EXEC)
        others: list[list[object]] = [arguments[:-1], [*arguments, None]]
        for place, argument in enumerate(arguments):
            wrongs: tuple[object, ...] = (None, "text", 1.5, [], b"x" if type(argument) is int else 7)
            others += [[*arguments[:place], wrong, *arguments[place + 1 :]] for wrong in wrongs]
        before = dict(self.acting.turn.stored)
        for wrong_arguments in others:
            self.assertIs(self.acting.apply([code, 0, 100, *wrong_arguments]), UNKNOWN, wrong_arguments)
        self.assertEqual(self.acting.turn.stored, before)
        self.assertIsNot(self.acting.apply([code, 0, 100, *arguments]), UNKNOWN)
