"""How long a proposer of classic mode waits for others: at random, longer each time, and by how long a slot takes."""

from __future__ import annotations

from random import Random

SLOT_SECONDS = 0.005
"""What a slot is taken to need before one was measured."""
WAIT_SECONDS_MIN, WAIT_SECONDS_MAX = 0.02, 2.0
WAIT_SLOTS = 4
"""Who is at work in a slot is given so many times what a slot takes, then twice that, and so on."""
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
        """How many slots in a row went to others: so many rounds higher is the next try, and the oldest goes first."""
        return min(self._losses, RANK_MAX)

    def begin(self, now: float) -> None:
        """Work on a slot begins."""
        self._began_at = now

    def won(self, now: float) -> None:
        """The slot was chosen by this proposer's work."""
        self._slot_seconds += (now - self._began_at - self._slot_seconds) / 8
        self._tries = self._losses = 0

    def lost(self) -> None:
        """The slot was chosen by another's."""
        self._tries = 0
        self._losses += 1

    def wait(self, random: Random) -> float:
        """How long to leave a slot to whoever is at work in it."""
        seconds = max(WAIT_SLOTS * self._slot_seconds, WAIT_SECONDS_MIN) * 2 ** min(self._tries, 16)
        self._tries += 1
        return float(min(seconds, WAIT_SECONDS_MAX)) * random.uniform(1, 2)
