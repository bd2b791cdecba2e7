"""How patient a node is that sends again: each time longer, as asking more often makes no link or disk faster."""

from __future__ import annotations

BACKOFF_MAX = 16


def backoff(times: int) -> int:
    """How many times as long as at first to wait, after sending ``times`` times: twice as long each time."""
    return int(min(2 ** (times - 1), BACKOFF_MAX))
