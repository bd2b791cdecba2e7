"""The tokens of one user on one machine: a producer's name, and op ids that are never used twice.

The name and the last op id are kept in a file. An op id is the time in nanoseconds, or one more than the last id if
that is greater. Two users of one name would take each other's writes for repeats of their own. So the file must be
worth nothing wherever it travels: baked into an image, copied to another home, restored from a backup, in a snapshot
of a disk. A seal beside it binds it to things that do not travel with it: the boot of the machine, the user, and the
inode and change time that the system gave the file when it was last written, which nobody can set. If the seal does
not fit, a new random name is drawn, with which nobody has used an op.

A last op that is ahead of the clock was used while the clock was wrong. Another holder of the file would count on from
the same op, so a new name is drawn in this case as well.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

SEAL = ".seal"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
AHEAD_NANOSECONDS = 1_000_000_000
"""The last op may be ahead of the clock by this much, because a clock is adjusted in small steps."""

LOCK_SECONDS = 2.0
FILE_BYTES_MAX = 4096
_LINE = re.compile(rb"(?P<name>dkv-[0-9a-f]{16}) (?P<op>[1-9][0-9]{0,18})\n")


class Token(NamedTuple):
    """Makes a write happen once: ``IDMP producer op <write>``."""

    producer: bytes
    op: int


def next_token(path: Path | None, *, anew: bool = False) -> Token:
    """An unused token, from a new producer if ``anew`` or if the file at ``path`` cannot be trusted."""
    if path is None:
        return _first()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return _first()
    try:
        _lock(descriptor)
        token = _first() if anew else _following(path, descriptor)
        line = b"%s %d\n" % token
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, line, 0)
        _seal_path(path).write_bytes(_seal(descriptor, line))
    except OSError:  # the disk is full, or there is no boot id or no lock: the file is worth what its seal says
        return _first()
    finally:
        os.close(descriptor)
    return token


def _lock(descriptor: int) -> None:
    """Lock the file. Others hold it for less than a millisecond; ``OSError`` if one was stopped while it held it."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.001)  # between two tries


def _following(path: Path, descriptor: int) -> Token:
    """The token after the one in the file, or the first of a new producer."""
    line = os.pread(descriptor, FILE_BYTES_MAX, 0)
    found = _LINE.fullmatch(line)
    if found is None or not _is_sealed(path, descriptor, line):
        return _first()
    now, last = _now(), int(found["op"])
    return Token(found["name"], max(last + 1, now)) if last < now + AHEAD_NANOSECONDS else _first()


def _is_sealed(path: Path, descriptor: int, line: bytes) -> bool:
    try:
        return _seal_path(path).read_bytes() == _seal(descriptor, line)
    except FileNotFoundError:
        return False


def _seal_path(path: Path) -> Path:
    return path.with_name(path.name + SEAL)


def _seal(descriptor: int, line: bytes) -> bytes:
    """The seal: it ties the file and its ``line``, as they are now, to the place and time of their writing."""
    file = os.fstat(descriptor)
    where = f"boot {BOOT_ID.read_text().strip()} user {os.getuid()} file {file.st_dev}:{file.st_ino}"
    return f"{where} changed {file.st_ctime_ns} ".encode() + line


def _first() -> Token:
    return Token(b"dkv-" + token_hex(8).encode(), _now())


def _now() -> int:
    return max(1, time.time_ns())
