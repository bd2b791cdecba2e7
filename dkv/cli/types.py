"""The types of options: each refuses senseless values, so that no command has to check again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

DAY_SECONDS = 86_400.0
MOST = 10**18
"""The highest value of numbers without a bound of their own, such as slots and seeds."""

SHOWN_CHARACTERS = 40
_WHOLE = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,3})?")


class Whole(click.IntRange):
    """A whole number in decimal digits, from ``least`` to ``most``. Python alone would also accept 1_000, and the
    digits of other scripts."""

    def __init__(self, least: int = 1, most: int = MOST) -> None:
        super().__init__(least, most)
        self._least, self._most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number that was typed, or a usage error."""
        typed = isinstance(value, str)
        if typed and not (_WHOLE.fullmatch(value.strip()) and self._least <= int(value) <= self._most):
            self.fail(f"{shown(value)} is not a whole number from {self._least} to {self._most}.", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A decimal number from ``least`` to ``most``. ``nan`` is in no range, but no comparison with a bound says so.
    Errors call it a ``noun``."""

    def __init__(self, least: float, most: float, noun: str = "number") -> None:
        super().__init__(least, most)
        self._least, self._most = least, most
        self._noun = noun

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number that was typed, or a usage error."""
        typed = isinstance(value, str)
        if typed and not (_NUMBER.fullmatch(value.strip()) and self._least <= float(value) <= self._most):
            self.fail(f"{shown(value)} is not a {self._noun} from {self._least:.15g} to {self._most:.15g}.", param, ctx)
        return super().convert(value, param, ctx)


class Seconds(Number):
    """A time of at least a millisecond."""

    def __init__(self, most: float = DAY_SECONDS) -> None:
        super().__init__(0.001, most, "number of seconds")


class PathName(click.Path):
    """The path of a file or a directory. For Python an empty path, for example from an unset variable of a script,
    would be the current directory."""

    def __init__(self, **checks: bool) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or a usage error."""
        if value == "":
            self.fail("the path is empty.", param, ctx)
        return super().convert(value, param, ctx)


def shown(text: str) -> str:
    """The beginning of a user's text, in quotes."""
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "...")
