"""The tables of scripts in docs/clients.md are those of the catalogue."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.console.script_table import BEGIN, END, tables, with_tables
from dkv.kv.scripts.catalogue import SCRIPTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"


class ScriptTableTests(SynchronousTestCase):
    def test_the_page_has_them(self) -> None:
        """Somebody who wants to know whether a library works would be told what was true once."""
        page = PAGE.read_text(encoding="utf-8")
        self.assertEqual((page.count(BEGIN), page.count(END)), (1, 1))
        self.assertEqual(with_tables(page), page, "python -m dkv.console.script_table writes it")

    def test_everything_is_in_them(self) -> None:
        """Each library with each use."""
        for each in SCRIPTS:
            self.assertIn(f"| {each.library} | {each.versions} | {each.use} |", tables())
        self.assertEqual(with_tables(f"a\n{BEGIN}old\n{END}b\n"), f"a\n{BEGIN}{tables()}{END}b\n")
