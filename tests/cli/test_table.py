"""The tables that commands print: aligned everywhere, coloured and fitted to the width on terminals."""

from __future__ import annotations

import os
import shutil
import sys

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.table import Table, cell


class TableTests(SynchronousTestCase):
    """The tables that the commands print."""

    def test_colour_on_a_terminal_only(self) -> None:
        """A file never holds escape sequences; NO_COLOR is obeyed on terminals too."""
        module = sys.modules["dkv.cli.table"]
        said: list[str] = []
        self.patch(module, "on_terminal", lambda: True)
        self.patch(shutil, "get_terminal_size", lambda: os.terminal_size((9, 20)))
        self.patch(module, "coloured", lambda: True)
        Table("A", "B", cut_last=True, say=said.append).add([[cell(1), cell("x" * 20, "red")]])
        self.assertEqual(said[1], "1  \x1b[31mxxx...\x1b[0m")
        self.patch(module, "coloured", lambda: False)
        Table("A", "B", cut_last=True, say=said.append).add([[cell(1), cell("x" * 20, "red")]])
        self.assertEqual(said[3], "1  xxx...")

    def test_spare_columns(self) -> None:
        """What can be done without goes first, in its order, and no more of it than must."""
        module = sys.modules["dkv.cli.table"]
        self.patch(module, "on_terminal", lambda: True)
        self.patch(module, "coloured", lambda: False)

        def shown(columns: int) -> list[str]:
            said: list[str] = []
            self.patch(shutil, "get_terminal_size", lambda: os.terminal_size((columns, 20)))
            table = Table("A", "BB", "C", spare=("BB", "A"), say=said.append)
            table.add([[cell("1"), cell("22"), cell("333")]])
            table.add([[cell("4"), cell("5"), cell("6")]])
            return said

        self.assertEqual(shown(10), ["A  BB  C", "1  22  333", "4  5   6"])
        self.assertEqual(shown(9), ["A  C", "1  333", "4  6"])
        self.assertEqual(shown(5), ["C", "333", "6"])
        self.assertEqual(shown(2)[:4], ["A   1", "BB  22", "C   333", ""], "as a block, with everything")
