"""docs/mutants.md as data: the mutants that may survive, each with its reason."""

from __future__ import annotations

import re
from pathlib import Path

_ENTRY = re.compile(r"^### `(?P<path>[^`]+)`.*?\n+```diff\n(?P<diff>.*?)```\n+(?P<reason>\S.*?)(?=\n#|\Z)", re.M | re.S)

Survivor = tuple[str, tuple[str, ...]]
"""A mutant as it is listed: its file and its changed lines."""


def read_harmless(page: Path) -> set[Survivor]:
    """The mutants listed; ``AssertionError`` for an entry that is not a file, a diff, and a reason."""
    text = page.read_text()
    entries = list(_ENTRY.finditer(text))
    assert len(entries) == text.count("\n### "), f"{page}: an entry has no file, no diff or no reason"
    return {(entry["path"], _changed_lines(entry["diff"])) for entry in entries}


def render(survivor: Survivor) -> str:
    """An entry of the page that lacks its reason."""
    path, change = survivor
    return "\n".join([f"### `{path}`", "", "```diff", *change, "```", ""])


def _changed_lines(diff: str) -> tuple[str, ...]:
    return tuple(line[0] + line[1:].strip() for line in diff.splitlines())
