"""What every program does at its end: it writes, again and again, while the leader dies; then it looks for its writes.

The program prints ``ready`` after some writes, and whoever runs it kills the leader and answers with a line. The
program goes on for a moment, reads back each acknowledged write, and prints what it saw as a line ``report {...}``.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable

WRITES_BEFORE = 20
WRITES_AFTER = 50
SECONDS_AFTER = 1.0
PATIENCE_SECONDS = 30.0
"""An application gives up when nothing was acknowledged for so long."""
PAUSE_SECONDS = 0.02
"""Between a write that failed and the next one."""


class Ride:
    """What an application that goes on writing sees."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self._errors: list[str] = []
        self._error_seconds = 0.0
        self._failing_since: float | None = None
        self._longest_seconds = 0.0
        self._killed_at: float | None = None
        self._acknowledged_before = 0

    def is_over(self) -> bool:
        """Whether enough was written after the kill."""
        if self._killed_at is None:
            return False
        seconds = time.monotonic() - self._killed_at
        since = len(self.acknowledged) - self._acknowledged_before
        assert since or seconds < PATIENCE_SECONDS, f"no write succeeds any more: {self._errors[-1:]}"
        return since >= WRITES_AFTER and seconds >= SECONDS_AFTER

    def succeeded(self, number: int, begun: float) -> None:
        """A write was acknowledged."""
        now = time.monotonic()
        self.acknowledged.append(number)
        self._longest_seconds = max(self._longest_seconds, now - begun)
        if self._failing_since is not None:
            self._error_seconds += now - self._failing_since
            self._failing_since = None
        if len(self.acknowledged) == WRITES_BEFORE:
            print("ready", flush=True)
            threading.Thread(target=self._wait_for_the_kill, daemon=True).start()

    def failed(self, begun: float, error: Exception) -> None:
        """A write raised; whether it happened is not known."""
        if self._killed_at is None and len(self.acknowledged) < WRITES_BEFORE:
            raise error  # nothing was killed yet
        self._errors.append(f"{type(error).__name__}: {error}".partition("\n")[0])
        self._failing_since = self._failing_since or begun

    def report(self) -> None:
        """Say it to whoever runs the program."""
        told = {
            "writes": len(self.acknowledged),
            "errors": len(self._errors),
            "error": next(iter(self._errors), ""),
            "error_seconds": round(self._error_seconds, 2),
            "longest_seconds": round(self._longest_seconds, 2),
        }
        print("report", json.dumps(told), flush=True)

    def _wait_for_the_kill(self) -> None:
        sys.stdin.readline()
        self._acknowledged_before = len(self.acknowledged)
        self._killed_at = time.monotonic()


def ride(write: Callable[[int], object], holds: Callable[[int], object]) -> None:
    """Call ``write(n)`` with 0, 1, 2, ... across the kill; then ``holds(n)`` tells if an acknowledged one is there."""
    trip = Ride()
    for number in itertools.count():
        if trip.is_over():
            break
        begun = time.monotonic()
        try:
            write(number)
        except Exception as error:
            trip.failed(begun, error)
            time.sleep(PAUSE_SECONDS)
        else:
            trip.succeeded(number, begun)
    lost = [number for number in trip.acknowledged if not holds(number)]
    assert not lost, f"{len(lost)} of {len(trip.acknowledged)} acknowledged writes are lost: {lost[:10]}"
    trip.report()


async def ride_async(
    write: Callable[[int], Awaitable[object]],
    holds: Callable[[int], bool | Awaitable[bool]],
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """The same for coroutines, and for Deferreds with a ``pause`` of their own; ``holds`` may be either."""
    trip = Ride()
    for number in itertools.count():
        if trip.is_over():
            break
        begun = time.monotonic()
        try:
            await write(number)
        except Exception as error:
            trip.failed(begun, error)
            await pause(PAUSE_SECONDS)
        else:
            trip.succeeded(number, begun)
    lost = []
    for number in trip.acknowledged:
        found = holds(number)
        if not (found if isinstance(found, bool) else await found):
            lost.append(number)
    assert not lost, f"{len(lost)} of {len(trip.acknowledged)} acknowledged writes are lost: {lost[:10]}"
    trip.report()
