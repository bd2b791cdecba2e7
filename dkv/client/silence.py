"""Endpoints that lately did not answer while others did: for a while they are asked last, not first each time."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from dkv.client.blocking import Endpoint

SILENT_SECONDS = 30.0
"""How long an endpoint is asked last. Then it is tried again, which costs a moment if it is still silent."""

ENDPOINTS_MAX = 100
FILE_BYTES_MAX = 64 * 1024
_LINE = re.compile(r"(?P<since>[0-9]{1,12}) (?P<endpoint>\S+)")


class Silence:
    """The silent endpoints known to this process or, with a ``path``, to all processes that use this file.

    It decides only about the order, so the file may be lost, damaged, or written by several processes at once.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._since: dict[str, int] = {}  # by endpoint, in seconds since 1970, as processes do not share another clock
        if path is not None:
            self._since = _read(path)

    def last(self, endpoints: Iterable[Endpoint]) -> list[Endpoint]:
        """``endpoints`` in their order, with the silent ones behind the others."""
        now = time.time()
        return sorted(endpoints, key=lambda each: 0 <= now - self._since.get(str(each), 0) < SILENT_SECONDS)

    def note(self, silent: Iterable[Endpoint], answered: Endpoint) -> None:
        """``answered`` has answered, and ``silent`` had not yet."""
        since = dict(self._since)
        since.pop(str(answered), None)
        since |= dict.fromkeys(map(str, silent), int(time.time()))
        if since != self._since:
            self._since = dict(sorted(since.items(), key=lambda each: each[1])[-ENDPOINTS_MAX:])
            if self._path is not None:
                _write(self._path, self._since)


def _read(path: Path) -> dict[str, int]:
    try:
        with open(path, "rb") as file:
            text = file.read(FILE_BYTES_MAX).decode("utf-8", "replace")
    except OSError:
        return {}
    found = filter(None, map(_LINE.fullmatch, text.splitlines()))
    return {each["endpoint"]: int(each["since"]) for each in found}


def _write(path: Path, since: dict[str, int]) -> None:
    """Replace the whole file. If it cannot be written, the next command has to find out by itself."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(beside, "w", encoding="utf-8", errors="replace", opener=_private) as file:
            file.writelines(f"{seconds} {endpoint}\n" for endpoint, seconds in since.items())
        os.replace(beside, path)
    except OSError:
        return


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
