"""The mode in which each life of a node runs, where operators change the mode of a cluster."""

from __future__ import annotations

from random import Random

from dkv.settings import CLASSIC, LEADER, MODES

CHANGE_CHANCE = 0.25

MIXED = "mixed"
"""A cluster whose operators change its mode again and again, node after node, and not always on all nodes."""


class ModeOfLives:
    """The mode of a node that starts: always ``mode``, except for ``MIXED``."""

    def __init__(self, mode: str, random: Random) -> None:
        self._mixed = mode == MIXED
        self._changing = False
        self._random = random
        self._mode = random.choice(MODES) if self._mixed else mode

    def begin_changes(self) -> None:
        """The operators go to work."""
        self._changing = self._mixed

    def of_next_life(self) -> str:
        """The mode of a life that begins now."""
        if self._changing and self._random.random() < CHANGE_CHANCE:
            self._mode = CLASSIC if self._mode == LEADER else LEADER
        return self._mode

    def settle(self) -> str:
        """Settle on one mode for all lives from now on, and return it."""
        self._changing = False
        return self._mode
