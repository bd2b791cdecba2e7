"""A line on stderr that says how far a long command has come. It is drawn on a terminal only."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from dkv.cli.status_table import size

DRAWN_SECONDS = 0.1
"""How long a picture stays at least."""
BAR_WIDTH = 24

_CLEAR = "\r\x1b[K"


class ProgressBar:
    """Bytes done of ``total``, which may be an estimate, or 0 if nobody knows. Entered, it is drawn as it changes."""

    def __init__(self, what: str, total: int) -> None:
        self.done = 0
        self._what = what
        self._total = total
        self._began = time.monotonic()
        self._drawn = 0.0
        self._shown = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """The line goes away: what follows, a result or an error, says how it ended."""
        if self._drawn:
            _write(_CLEAR)

    @property
    def seconds(self) -> float:
        """The time since it began."""
        return time.monotonic() - self._began

    def add(self, count: int) -> None:
        """So many bytes more are done."""
        self.done += count
        now = time.monotonic()
        if self._shown and now - max(self._drawn, self._began) >= DRAWN_SECONDS:
            self._drawn = now
            _write(_CLEAR + picture(self._what, self.done, self._total, self.seconds))


def picture(what: str, done: int, total: int, seconds: float) -> str:
    """The line: a bar, a share and a rate. Without a total there is no bar; more than the total is nearly all."""
    rate = f"{size(int(done / max(seconds, 0.001)))}/s"
    if not total:
        return f"{what}  {size(done)}  {rate}"
    share = min(done / total, 0.99)
    bar = "#" * int(share * BAR_WIDTH)
    return f"{what}  [{bar:<{BAR_WIDTH}}] {share:4.0%}  {size(done)} of {size(max(total, done))}  {rate}"


def _write(text: str) -> None:
    with suppress(OSError):  # a terminal that is gone takes no picture
        sys.stderr.write(text)
        sys.stderr.flush()
