"""How long a proposer of classic mode waits for others: at random, longer each time, and by how long a slot takes."""

from __future__ import annotations

from math import inf
from random import Random

SLOT_SECONDS = 0.005
"""What a slot is taken to need before one was measured."""
WAIT_SECONDS_MIN, WAIT_SECONDS_MAX = 0.02, 2.0
PAUSE_SECONDS_MAX = 0.05
WAIT_SLOTS = 4
"""Who is at work in a slot is given so many times what a slot takes, then twice that, and so on."""
CONTENTION_SECONDS = 0.1
"""So long after somebody else was met in a slot there are pauses between slots."""
LOSSES_MAX = 8
"""After so many slots that went to others, one's own is fought for at once."""


class Patience:
    """The patience of one proposer; times in seconds, on the monotonic clock."""

    def __init__(self) -> None:
        self._slot_seconds = SLOT_SECONDS
        self._began_at = 0.0
        self._met_at = -inf
        self._tries = 0
        self._losses = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether too many slots in a row went to others."""
        return self._losses > LOSSES_MAX

    def begin(self, now: float) -> None:
        """Work on a slot begins."""
        self._began_at = now

    def try_again(self) -> int:
        """Count one more try for the same slot; how many there were."""
        self._tries += 1
        return self._tries

    def met(self, now: float) -> None:
        """Another proposer was met in the slot."""
        self._met_at = now

    def won(self, now: float) -> None:
        """The slot was chosen by this proposer's work."""
        self._slot_seconds += (now - self._began_at - self._slot_seconds) / 8
        self._tries = self._losses = 0

    def lost(self, now: float) -> None:
        """The slot was chosen by another's."""
        self._met_at = now
        self._tries = 0
        self._losses += 1

    def wait(self, random: Random) -> float:
        """How long to leave a slot to whoever is at work in it."""
        seconds = max(WAIT_SLOTS * self._slot_seconds, WAIT_SECONDS_MIN) * 2 ** min(self.try_again() - 1, 16)
        return float(min(seconds, WAIT_SECONDS_MAX)) * random.uniform(1, 2)

    def pause(self, now: float, random: Random, won: bool) -> float:
        """How long to wait before the next slot: not at all while nobody else is met, and longer after winning."""
        if now - self._met_at > CONTENTION_SECONDS:
            return 0.0
        return min(self._slot_seconds / 2, PAUSE_SECONDS_MAX) * random.uniform(int(won), 1 + int(won))
