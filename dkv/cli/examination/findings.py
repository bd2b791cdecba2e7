"""What an examination finds: one line each, which says what to mend."""

from __future__ import annotations

from typing import NamedTuple

PROBLEM = "problem"
"""Must be mended: data is exposed or at risk, or soon somebody is refused."""

NOTE = "note"
"""May be meant so."""


class Finding(NamedTuple):
    """What was found at ``where``: a file, a setting, a node."""

    level: str
    where: str
    text: str


def problem(where: str, text: str) -> Finding:
    """Something that must be mended."""
    return Finding(PROBLEM, where, text)


def note(where: str, text: str) -> Finding:
    """Something to know."""
    return Finding(NOTE, where, text)
