"""The report of a scenario, step by step: lines for people or JSON objects. The first wrong step ends it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from dkv.cli.output import say

PROGRESS_SECONDS = 2.0
"""A step that is expected to take longer shows a progress bar."""


class StepFailed(Exception):
    """A step did not see what it should have seen; the text says what it saw."""


class Report:
    """Prints the steps of the scenario ``name`` as they are taken."""

    def __init__(self, name: str, as_json: bool) -> None:
        self.name = name
        self.figures: dict[str, Any] = {}
        """The measurements, for the last line."""
        self._as_json = as_json
        self._began_at = time.monotonic()

    def step(self, text: str, **fields: Any) -> None:
        """Report that something was done, or was seen as it should be."""
        self._line("ok", text, fields)

    def check(self, text: str, seen: Any, expected: Any) -> None:
        """A step that ends the scenario unless ``seen`` equals ``expected``."""
        if seen != expected:
            self.fail(f"{text}: expected {_shown(expected)}, seen {_shown(seen)}")
        self.step(f"{text}: {_shown(seen)}")

    def require(self, text: str, holds: bool, seen: str) -> None:
        """A step that ends the scenario unless it ``holds``."""
        if not holds:
            self.fail(f"{text}: no, {seen}")
        self.step(f"{text}: {seen}")

    def fail(self, text: str) -> NoReturn:
        """End the scenario here."""
        self._line("FAIL", text, {})
        raise StepFailed(text)

    def verdict(self, passed: bool) -> None:
        """Print the last line."""
        result = "PASS" if passed else "FAIL"
        seconds = round(time.monotonic() - self._began_at, 1)
        if self._as_json:
            say(json.dumps({"scenario": self.name, "result": result, "seconds": seconds} | self.figures))
        else:
            word = click.style(result, fg="green" if passed else "red", bold=True) if sys.stdout.isatty() else result
            say(f"{word} {self.name} ({seconds} s)")

    @contextmanager
    def progress(self, what: str, length: int, seconds: float) -> Iterator[Any]:
        """A bar on a terminal for about ``seconds`` of work: an object whose ``update(n)`` counts ``n`` more."""
        hidden = self._as_json or seconds < PROGRESS_SECONDS or not sys.stderr.isatty()
        with click.progressbar(length=length, label=f"  {what}", file=sys.stderr, hidden=hidden) as bar:
            yield bar

    def _line(self, word: str, text: str, fields: dict[str, Any]) -> None:
        if self._as_json:
            say(json.dumps({"step": text, "ok": word == "ok"} | fields))
        elif sys.stdout.isatty():
            say(f"  {click.style(f'{word:<4}', fg='green' if word == 'ok' else 'red')}  {text}")
        else:
            say(f"  {word:<4}  {text}")


def _shown(value: Any) -> str:
    if value is None:
        return "(nil)"
    if isinstance(value, bytes):
        text = value.decode("utf-8", "backslashreplace")
        return text if len(text) <= 60 else f"{text[:57]}... ({len(value)} bytes)"
    return str(value)
