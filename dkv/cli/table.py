"""Tables for people: aligned, and on a terminal also coloured and fitted to the width."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import click

from dkv.cli.output import one_line, say

GAP = "  "


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, and the colour that it has on a terminal, or None. A column with a number is aligned to the right.

    If the text is cut, ``tail`` stays.
    """

    text: str
    colour: str | None = None
    number: bool = False
    tail: str = ""


def cell(value: object, colour: str | None = None) -> Cell:
    """A cell for any value: ``-`` for None, yes and no for a truth value."""
    if value is None or value == "":
        return Cell("-", colour)
    if isinstance(value, bool):
        return Cell("yes" if value else "no", colour)
    return Cell(one_line(str(value)), colour, isinstance(value, int))


def on_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def coloured() -> bool:
    """Whether to use colours: on a terminal, unless NO_COLOR (no-color.org) is set or the terminal is dumb."""
    return on_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Table:
    """Prints rows as they come, with the head before the first; columns only get wider. ``say`` takes each line.

    On a terminal that is too narrow the last column of a table with ``cut_last`` is cut. Any other table leaves out
    columns of ``spare``, in that order, until it fits; if it does not fit without them, it is printed whole, as a block
    of lines for each row.
    """

    def __init__(
        self, *head: str, cut_last: bool = False, spare: Sequence[str] = (), say: Callable[[str], object] = say
    ) -> None:
        self._head = head
        self._spare = spare
        self._left = list(range(len(head)))  # the columns that are printed
        self._say = say
        self._widths = [len(name) for name in head]
        self._cut_last = cut_last
        self._right: set[int] = set()
        self._begun = False
        self._columns = shutil.get_terminal_size().columns if on_terminal() else None
        self._coloured = coloured()

    def add(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Print ``rows``, aligned with each other and with what was printed."""
        rows = list(rows)
        if not self._begun and self._columns is not None:
            self._fit(rows, self._columns)
        rows = [[row[number] for number in self._left] for row in rows]
        for row in rows:
            widths = zip(self._widths, row, strict=True)
            self._widths = [max(width, len(each.text) + len(each.tail)) for width, each in widths]
            self._right |= {number for number, each in enumerate(row) if each.number}
        width = sum(self._widths) + len(GAP) * (len(self._widths) - 1)
        if self._columns is not None and width > self._columns and not self._cut_last:
            for row in rows:
                self._say_block(row)
            return
        if not self._begun:
            self._say_row([Cell(name, "bright_black") for name in self._head])
        self._begun = True
        for row in rows:
            self._say_row(row)

    def _fit(self, rows: list[Sequence[Cell]], room: int) -> None:
        """Leave out as many spare columns as make head and rows fit; none if they do not fit without all of them."""
        widths = [
            max([len(name), *(len(row[number].text) + len(row[number].tail) for row in rows)])
            for number, name in enumerate(self._head)
        ]
        left = list(self._left)
        for name in (None, *self._spare):
            if name is not None:
                left.remove(self._head.index(name))
            if sum(widths[number] for number in left) + len(GAP) * (len(left) - 1) <= room:
                self._left = left
                self._head = tuple(self._head[number] for number in left)
                self._widths = [len(name) for name in self._head]
                return

    def _say_row(self, row: Sequence[Cell]) -> None:
        texts, room = [], self._columns
        for number, (each, width) in enumerate(zip(row, self._widths, strict=True)):
            last = number == len(row) - 1
            text = each.text + each.tail
            if last and self._cut_last and room is not None and len(text) > room:
                mark = each.tail or "..."
                text = (each.text[: max(room - len(mark), 0)] + mark)[: max(room, 0)]
            pad = " " * (0 if last and number not in self._right else width - len(text))
            styled = self._style(text, each)
            texts.append(pad + styled if number in self._right else styled + pad)
            room = None if room is None else room - width - len(GAP)
        self._say(GAP.join(texts).rstrip())

    def _say_block(self, row: Sequence[Cell]) -> None:
        if self._begun:
            self._say("")
        self._begun = True
        width = max(map(len, self._head))
        for name, each in zip(self._head, row, strict=True):
            self._say(f"{name:<{width}}{GAP}{self._style(each.text + each.tail, each)}")

    def _style(self, text: str, look: Cell) -> str:
        return click.style(text, fg=look.colour) if self._coloured and look.colour else text
