"""Processes with little memory: a memory cgroup, of version 1 or 2, or else a limit on the process's data."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
LEAVE_SECONDS = 5.0


class LittleMemory:
    """A place for processes that may have ``limit_bytes`` together, pages of files included where it is a cgroup."""

    def __init__(self, name: str, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._group = _make(name, limit_bytes)

    @property
    def kind(self) -> str:
        """How the limit is kept, in words."""
        return "a memory cgroup" if self._group is not None else "RLIMIT_DATA"

    def prefix(self) -> tuple[str, ...]:
        """The words before a command that is to run in it."""
        if self._group is not None:
            return ("sh", "-c", f'echo $$ > {self._group}/cgroup.procs && exec "$@"', "sh")
        return ("prlimit", f"--data={self._limit_bytes}")

    def peak_bytes(self) -> int:
        """The most that was used at a time; 0 if nobody knows."""
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            if self._group is not None and (self._group / name).exists():
                return int((self._group / name).read_text())
        return 0

    def remove(self) -> None:
        """Remove the place, once its processes have ended."""
        deadline = time.monotonic() + LEAVE_SECONDS
        while self._group is not None:
            try:
                self._group.rmdir()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)  # between two looks: the kernel takes a moment to see that they have ended


def _make(name: str, limit_bytes: int) -> Path | None:
    """A new cgroup; None if there can be none."""
    for parent, limit in ((ROOT / "memory", "memory.limit_in_bytes"), (ROOT, "memory.max")):
        group = parent / f"{name}-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / limit).exists():
            (group / limit).write_text(str(limit_bytes))
            return group
        group.rmdir()
    assert resource.RLIMIT_DATA, "Linux has this one always"
    return None
