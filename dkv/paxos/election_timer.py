"""When a node asks for an election next: at a random time, so that two nodes seldom ask at once."""

from __future__ import annotations

from dkv.actor import Turn
from dkv.settings import Timings


class ElectionTimer:
    """The timer ``election``, which may fire early: to put it off only moves the time at which it is due."""

    def __init__(self, timings: Timings) -> None:
        self._timings = timings
        self._due_at = 0.0

    def wait(self, turn: Turn, seconds: float) -> None:
        """It is due in ``seconds``."""
        self._due_at = turn.now + seconds
        turn.set_timer("election", seconds)

    def wait_at_random(self, turn: Turn) -> None:
        """It is due after a full random timeout."""
        self.wait(turn, self._random_seconds(turn))

    def put_off(self, turn: Turn) -> None:
        """As ``wait_at_random``, without setting the timer anew: a leader is heard many times a second."""
        self._due_at = turn.now + self._random_seconds(turn)

    def fired(self, turn: Turn) -> bool:
        """Whether it is due; if it was put off meanwhile it fires again when it is."""
        if turn.now < self._due_at:
            turn.set_timer("election", self._due_at - turn.now)
            return False
        return True

    def _random_seconds(self, turn: Turn) -> float:
        return turn.random.uniform(self._timings.election_seconds_min, self._timings.election_seconds_max)
