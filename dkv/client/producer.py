"""The tokens of one user on one machine: a producer's name, and op ids that are never used twice.

The name and the last op id are kept in a file. An op id is the time in microseconds, or one more than the last if
that is more: so neither parallel processes, nor a clock that steps back, nor a file restored from an old copy give
the id of one write to another.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

_LINE = re.compile(rb"(?P<name>dkv-[0-9a-f]{16}) (?P<op>[1-9][0-9]{0,17})\n")


class Token(NamedTuple):
    """What makes a write happen once: ``IDMP producer op <write>``."""

    producer: bytes
    op: int


def producer_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the producer is kept: below ``$XDG_STATE_HOME``, or what stands in for it."""
    state = environment.get("XDG_STATE_HOME", "")
    return (Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state") / "dkv" / "producer"


def next_token(path: Path, *, anew: bool = False) -> Token:
    """A token that nothing has used; of a new producer if ``anew``, or if the file says nothing or cannot be kept."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return _first()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        found = _LINE.match(os.pread(descriptor, 64, 0))
        token = _first() if anew or found is None else Token(found["name"], max(int(found["op"]) + 1, _now()))
        os.pwrite(descriptor, b"%s %d\n" % token, 0)
    except OSError:
        return _first()
    finally:
        os.close(descriptor)
    return token


def _first() -> Token:
    return Token(b"dkv-" + token_hex(8).encode(), _now())


def _now() -> int:
    return time.time_ns() // 1000
