"""docs/redis.md is what the declarations of the commands and the list of differences say."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.console.client_session import TABLE
from dkv.console.redis_page import page
from dkv.kv.differences import ABSENT, DIFFERENCES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "redis.md"


class RedisPageTests(SynchronousTestCase):
    def test_the_page_is_written_from_the_code(self) -> None:
        """Whoever decides by the page whether a program will run must not decide by an old one."""
        text = PAGE.read_text(encoding="utf-8")
        self.assertEqual(text, page(), "write it anew: python -m dkv.console.redis_page > docs/redis.md")

    def test_every_command_is_there(self) -> None:
        """A command without a line would be one that nobody finds."""
        text = page()
        for command in TABLE.values():
            for each in command.subcommands or (command,):
                self.assertIn(f"| `{each.name.replace('|', ' ').upper()}", text)

    def test_what_is_absent_is_absent(self) -> None:
        """A word that has come since would still be told to be missing."""
        known = {name for command in TABLE.values() for name in (command.name, *(s.name for s in command.subcommands))}
        told = [word.lower().replace(" ", "|") for words, _ in ABSENT for word in words]
        self.assertEqual([word for word in told if word in known], [])

    def test_differences_are_of_commands(self) -> None:
        """A difference of a command that is not there explains nothing."""
        known = {name for command in TABLE.values() for name in (command.name, *(s.name for s in command.subcommands))}
        named = {name for difference in DIFFERENCES for name in difference.commands}
        self.assertEqual(named - known, set())
