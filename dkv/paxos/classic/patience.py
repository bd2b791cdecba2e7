"""How long a proposer of classic mode waits for others: a random time, in terms of how long a slot takes."""

from __future__ import annotations

from random import Random

SLOT_SECONDS = 0.005
"""How long a slot is taken to need before one was measured."""

WAIT_SECONDS_MIN, WAIT_SECONDS_MAX = 0.02, 2.0
WAIT_SLOTS = 4
"""How many slot times to wait for another proposer before taking its slot over. Doubles with each try."""

RANK_MAX = 16


class Patience:
    """The patience of one proposer; times in seconds, on the monotonic clock."""

    def __init__(self) -> None:
        self._slot_seconds = SLOT_SECONDS
        self._began_at = 0.0
        self._tries = 0
        self._losses = 0

    @property
    def rank(self) -> int:
        """Slots lost in a row. The next try starts that many rounds higher: the node that waited longest wins."""
        return min(self._losses, RANK_MAX)

    def begin(self, now: float) -> None:
        """Work on a slot begins."""
        self._began_at = now

    def won(self, now: float) -> None:
        """This proposer got its slot chosen: that is how long a slot takes."""
        self._slot_seconds += (now - self._began_at - self._slot_seconds) / 8
        self._tries = self._losses = 0

    def lost(self) -> None:
        """Another proposer got the slot chosen."""
        self._tries = 0
        self._losses += 1

    def wait(self, random: Random) -> float:
        """How long to leave a slot to the proposer that is at work in it."""
        seconds = max(WAIT_SLOTS * self._slot_seconds, WAIT_SECONDS_MIN) * 2 ** min(self._tries, 16)
        self._tries += 1
        return float(min(seconds, WAIT_SECONDS_MAX)) * random.uniform(1, 2)
