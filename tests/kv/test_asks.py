"""Entries of all formats in one form."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.asks import Ask, ask_of
from dkv.kv.codes import APPEND, DBSIZE, DELETE, ERASE, EXTEND, GET, IDMP, IDMP_NEW, MEMBERS, PUT, READ


class AskTests(SynchronousTestCase):
    def test_entries(self) -> None:
        """The entries of format 1 are commands for database 0; only APPEND says how long a value may become."""
        cases: list[tuple[list[Any], Ask]] = [
            ([PUT, b"k", b"v"], Ask(PUT, 0, 0, [b"k", b"v"])),
            ([GET, b"k"], Ask(READ, 0, 0, [b"k"])),
            ([DELETE, b"k", b"l"], Ask(ERASE, 0, 0, [b"k", b"l"])),
            ([APPEND, b"k", b"v", 9], Ask(EXTEND, 0, 9, [b"k", b"v"])),
            ([EXTEND, 15, 9, b"k", b"v"], Ask(EXTEND, 15, 9, [b"k", b"v"])),
            ([DBSIZE, 1, 0], Ask(DBSIZE, 1, 0, [])),
        ]
        for entry, ask in cases:
            self.assertEqual(ask_of(entry), ask)

    def test_others(self) -> None:
        """What is no command for a database, or not even the beginning of one."""
        others: list[list[Any]] = [
            [], [b"1"], [True, b"k"], [0], [-1], [IDMP, b"p", 1, [PUT, b"k", b"v"]], [IDMP_NEW], [MEMBERS, 1],
            [APPEND, b"k", b"v"], [APPEND, b"k", b"v", b"9"], [DBSIZE], [DBSIZE, 0], [DBSIZE, 16, 0], [DBSIZE, -1, 0],
            [DBSIZE, b"0", 0], [DBSIZE, 0, None], [DBSIZE, True, 0],
        ]  # fmt: skip
        for entry in others:
            self.assertIsNone(ask_of(entry), entry)
