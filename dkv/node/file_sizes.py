"""How large the two databases of a node are on its disk: the sum of their files, as ``du`` would show them.

That is what fills a disk. It is more than what the databases hold: LevelDB keeps what was overwritten or erased until
it merges the tables with it, and each database has a log of its own of up to 16 MiB or so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from dkv.console.surroundings import Sizes

FRESH_SECONDS = 1.0
SHARE = 0.02
"""The share of a node's time that may go into this, for anybody who reaches a client port can ask for it."""

_OF_LEVELDB = re.compile(r"\d+\.\w+|MANIFEST-\d+|CURRENT|LOCK|LOG(\.old)?")
_STATE = "state-"


class FileSizes:
    """The sizes in the data directory ``directory``, looked up when somebody asks. ``now`` is in monotonic seconds."""

    def __init__(self, directory: str, now: Callable[[], float]) -> None:
        self._directory = directory
        self._now = now
        self._last: Sizes | None = None
        self._fresh_until = float("-inf")

    def __call__(self) -> Sizes | None:
        """The sizes at most a second ago, or longer where there are many files; None if they cannot be found out."""
        began = self._now()
        if began >= self._fresh_until:
            try:
                self._last = sizes_of(self._directory)
            except OSError:
                self._last = None
            ended = self._now()
            self._fresh_until = ended + max(FRESH_SECONDS, (ended - began) / SHARE)
        return self._last


def sizes_of(directory: str) -> Sizes:
    """The sizes now; ``OSError`` if the directory cannot be read."""
    with os.scandir(directory) as entries:
        states = [entry.path for entry in entries if entry.name.startswith(_STATE)]
    return Sizes(_bytes_in(directory), sum(map(_bytes_in, states)))


def _bytes_in(directory: str) -> int:
    """The bytes of a database's files. LevelDB, or a change of generation, may remove any of them meanwhile."""
    size = 0
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if _OF_LEVELDB.fullmatch(entry.name):
                    size += os.stat(entry.path).st_size
    except FileNotFoundError:
        pass
    return size
