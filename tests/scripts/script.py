"""Reading, running and writing scripts.

A line that begins with four spaces is trace: what followed the command above it. ``#`` begins a comment, everything
else is a command. Running a script takes the trace out and puts in what follows now; the script is right if that is
the text that it was.
"""

from __future__ import annotations

import os
from contextlib import closing
from difflib import unified_diff
from pathlib import Path

from tests.scripts.commands import Commands, InvariantBroken, WrongCommand

INDENT = " " * 4
REWRITE = "DKV_REWRITE_SCRIPTS"
"""The environment variable that lets a test write what it found, for people to read in review."""


class ScriptFailed(Exception):
    """A script cannot be played, or went differently; the text names its line, or shows the difference."""


def play(name: str, text: str) -> str:
    """The script ``text`` with the trace that follows now."""
    played = list[str]()
    with closing(Commands()) as commands:
        for number, line in enumerate(text.splitlines(), 1):
            if line.startswith(INDENT):
                continue
            played.append(line)
            if line and not line.startswith("#"):
                try:
                    played += [INDENT + event for event in commands.do(line)]
                except (WrongCommand, InvariantBroken) as error:
                    raise ScriptFailed(f"{name}, line {number}: {line}\n{error}") from None
    return "\n".join(played) + "\n"


def check(path: Path) -> None:
    """Play the script; ``ScriptFailed`` if it went differently. Told to rewrite, write down how it went instead."""
    text = path.read_text(encoding="utf-8")
    played = play(path.name, text)
    if os.environ.get(REWRITE) == "1":
        if played != text:
            path.write_text(played, encoding="utf-8")
    elif played != text:
        names = (f"{path.name} as written", f"{path.name} as played")
        difference = "\n".join(unified_diff(text.splitlines(), played.splitlines(), *names, lineterm=""))
        raise ScriptFailed(f"{difference}\n\n{REWRITE}=1 writes what happens now: read the difference first")
