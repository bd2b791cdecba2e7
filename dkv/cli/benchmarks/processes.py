"""The time, memory and writes that processes have used, as Linux counts them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def cpu_seconds(pids: Iterable[int]) -> float:
    """Their processor time in seconds, in user mode and in the kernel."""
    return sum(sum(map(int, _stat(pid)[11:13])) for pid in pids) / _TICKS


def written_bytes(pids: Iterable[int]) -> int:
    """The bytes that they have caused to be written to disks."""
    return sum(_field(pid, "io", "write_bytes:") for pid in pids)


def resident_bytes(pid: int) -> int:
    """The bytes that it has in memory, with mapped files, which Linux keeps there as long as it has room."""
    return _field(pid, "status", "VmRSS:") * 1024


def held_bytes(pid: int) -> int:
    """The bytes of memory that are its own: all but mapped files."""
    return _field(pid, "status", "RssAnon:") * 1024


def _stat(pid: int) -> list[str]:
    """The fields behind the name, which may contain anything; the first is the state."""
    return (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()


def _field(pid: int, file: str, name: str) -> int:
    for line in (_PROC / str(pid) / file).read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise LookupError(f"/proc/{pid}/{file} has no {name}")
