"""Looks that are repeated until Ctrl-C: drawn in place on a terminal, printed one after another elsewhere."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable

from dkv.cli.asking import pause
from dkv.cli.output import emit, say
from dkv.cli.table import on_terminal

EVERY_SECONDS = 1.0
"""From the beginning of one look to that of the next, unless the nodes take longer to answer."""

CLEAR = "\x1b[2J"
HOME = "\x1b[H"
CLEAR_LINE = "\x1b[K"
CLEAR_BELOW = "\x1b[J"
QUIET = "\x1b[?25l\x1b[?7l"
"""No cursor, and no line goes on in the next one: the terminal cuts what is too wide."""
AS_BEFORE = "\x1b[?7h\x1b[?25h"


def repeat(look: Callable[[], object]) -> None:
    """Call ``look`` every second or so, until Ctrl-C: that is how a watch ends, and no failure."""
    try:
        while True:
            began = time.monotonic()
            look()
            pause(began + EVERY_SECONDS - time.monotonic())
    except KeyboardInterrupt:
        pass


def watch(title: str, look: Callable[[], list[str]]) -> None:
    """Show the lines of ``look()`` every second or so, until Ctrl-C. Each picture has ``title`` and the time on top.

    On a terminal each picture replaces the one before, and the last one stays.
    """

    def picture() -> list[str]:
        lines = look()
        return [f"{title}, {time.strftime('%H:%M:%S')} (Ctrl-C ends)", "", *lines]

    if not on_terminal() or os.environ.get("TERM") == "dumb":
        repeat(lambda: say("\n".join((*picture(), ""))))
        return
    _write(QUIET + CLEAR)
    try:
        repeat(lambda: _write(frame(picture(), shutil.get_terminal_size().lines)))
    finally:
        _write(AS_BEFORE)


def frame(lines: list[str], height: int) -> str:
    """What replaces a terminal's picture by ``lines``. Those that do not fit are left out, and the last one says so."""
    room = height - 1  # the cursor stands below the picture
    if len(lines) > room:
        lines = [*lines[: room - 1], f"... and {len(lines) - room + 1} more lines: make the window higher"]
    return HOME + "".join(f"{line}{CLEAR_LINE}\n" for line in lines) + CLEAR_BELOW


def _write(text: str) -> None:
    emit(text.encode("utf-8", "surrogateescape"), newline=False)
