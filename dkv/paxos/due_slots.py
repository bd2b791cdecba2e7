"""Slots that are wanted though nobody writes: a deadline passes, or something is left to be erased.

A quiet cluster without deadlines has none. A slot for a deadline comes when the time has reached it, ten a second at
most, since one slot can stand for all deadlines before it. As long as something is left to be erased, one slot follows
the other.
"""

from __future__ import annotations

from sys import maxsize

from dkv.actor import Turn
from dkv.events import Due

PAUSE_SECONDS = 0.1
"""How long after an empty slot the next one follows for a deadline."""

NOTHING_DUE = Due(maxsize, 0, 0)


class DueSlots:
    """The empty slots of one lead; ``due`` is what the learner said last."""

    def __init__(self, due: Due) -> None:
        self.due = due
        self._slot = 0
        self._stamp = 0
        self._proposed_at = 0.0
        self._looks_at: float | None = None

    def wanted(self, turn: Turn, time: int) -> bool:
        """Whether such a slot is to be proposed now, when it is ``time``. If it is later, timer ``due`` is set."""
        at = self.due.at
        if at == maxsize or (self.due.through < self._slot and at <= self._stamp):
            return False  # Nothing is due, or a slot is under way after which the learner says what is.
        seconds = 0.0
        if at:
            seconds = max((at - time) / 1000, self._proposed_at + PAUSE_SECONDS - turn.now)
        if seconds > 0 and (self._looks_at is None or turn.now + seconds < self._looks_at):
            self._looks_at = turn.now + seconds
            turn.set_timer("due", seconds)
        return seconds <= 0

    def looked(self) -> None:
        """The timer ``due`` has fired."""
        self._looks_at = None

    def proposed(self, slot: int, stamp: int, now: float) -> None:
        """An empty slot is proposed."""
        self._slot, self._stamp, self._proposed_at = slot, stamp, now
