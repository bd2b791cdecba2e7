"""The quantiles of times that were observed lately, in little memory and without keeping each of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from math import ceil

WINDOW_SECONDS = 30.0
"""A quantile is over the times of this long at least, and twice as long at most."""

STEP = 1.1
"""Each bound is so much above the one before: no quantile is further above the true one."""

_SHORTEST_SECONDS, _BOUNDS = 20e-6, 180
BOUNDS = tuple(_SHORTEST_SECONDS * STEP**number for number in range(_BOUNDS))
"""From 20 microseconds to ten minutes. A longer time counts as the longest that was seen."""


class _Window:
    """How many of the times that began to be counted at ``began_at`` are at most each bound, and above the one below.

    The last count is of those above all bounds.
    """

    def __init__(self, began_at: float) -> None:
        self.began_at = began_at
        self.counts = [0] * (_BOUNDS + 1)
        self.longest = 0.0


class RecentTimes:
    """Times of the last half minute to a minute; ``now`` is in monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._current = _Window(now())
        self._before = self._current

    def observe(self, seconds: float) -> None:
        """Count one time."""
        self._turn()
        window = self._current
        window.counts[bisect_left(BOUNDS, seconds)] += 1
        window.longest = max(window.longest, seconds)

    def quantile(self, share: float) -> float | None:
        """A time that this ``share`` of all did not exceed: never below the least such time, at most a tenth above it.

        None if there were no times lately.
        """
        self._turn()
        windows = {self._before, self._current}
        counts = [sum(of_bound) for of_bound in zip(*(window.counts for window in windows), strict=True)]
        longest = max(window.longest for window in windows)
        rank, seen = ceil(share * sum(counts)), 0
        for bound, count in zip(BOUNDS, counts, strict=False):
            seen += count
            if count and seen >= rank:
                return min(bound, longest)
        return longest if counts[-1] else None

    def _turn(self) -> None:
        """Begin another window if the current one is full; forget one that is over for as long."""
        now = self._now()
        if now - self._current.began_at < WINDOW_SECONDS:
            return
        full, self._current = self._current, _Window(now)
        self._before = full if now - full.began_at < 2 * WINDOW_SECONDS else self._current
