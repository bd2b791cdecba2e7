"""Surveys: reads that look through too many keys for one turn. The surveyor of the node answers them, one at a time.

The learner has begun with such a read, at its place among the others, and has found that it is too much. From then on
its connection waits, and nobody else does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from dkv.actor import Address, Turn
from dkv.client_events import Survey, Surveyed, SurveyOver
from dkv.gateway.lanes import Lanes
from dkv.gateway.runs import Run
from dkv.replies import Error

SURVEYS_MAX = 16
"""How many may wait or be under way: each of their answers may be large."""

TOO_MANY = Error(
    f"TRYAGAIN {SURVEYS_MAX} reads that look through many keys wait on this node already: ask again later, or use SCAN"
)
TOO_SLOW = Error(
    "ERR the answer was not complete within timings.request_seconds, so many keys had to be looked through: SCAN looks"
    " through them step by step"
)


@dataclass(slots=True)
class _Wanted:
    """A run of one read, which was evaluated after slot ``through`` as far as it was."""

    run: Run
    through: int


class Surveys:
    """Those of the clients in ``lanes``, for the actor at ``surveyor``."""

    def __init__(self, lanes: Lanes, surveyor: Address) -> None:
        self._lanes = lanes
        self._surveyor = surveyor
        self._waiting: deque[_Wanted] = deque()
        self._under_way: _Wanted | None = None
        self._number = 0
        self._paused = False

    def take_in(self, turn: Turn, run: Run, through: int) -> bool:
        """A read was too much for the learner after slot ``through``: it waits here, or is refused if many do.

        Whether the refusal let others go their way.
        """
        if len(self._waiting) + (self._under_way is not None) >= SURVEYS_MAX:
            return self._lanes.answer(run, [TOO_MANY])
        self._waiting.append(_Wanted(run, through))
        self._go_on(turn)
        return False

    def on_surveyed(self, turn: Turn, message: Surveyed) -> bool:
        """The surveyor has the answer; whether that let others go their way."""
        if self._under_way is None or message.number != self._number:
            return False  # Nobody waits for it any more.
        run, self._under_way = self._under_way.run, None
        went = self._lanes.answer(run, [message.reply])
        self._go_on(turn)
        return went

    def pause(self, turn: Turn, paused: bool) -> None:
        """Begin with no more of them, as clients do not read what they are sent; or go on."""
        self._paused = paused
        self._go_on(turn)

    def expire(self, turn: Turn, expired: float) -> None:
        """Answer those that arrived by ``expired``: each could take for ever."""
        for wanted in (self._under_way, *self._waiting):
            if wanted is not None and wanted.run.arrived <= expired:
                self._lanes.answer(wanted.run, [TOO_SLOW])
        self.forget(turn)

    def forget(self, turn: Turn) -> None:
        """Drop those for which nobody waits any more."""
        self._waiting = deque(wanted for wanted in self._waiting if not self._lanes.is_settled(wanted.run))
        if self._under_way is not None and self._lanes.is_settled(self._under_way.run):
            self._under_way = None
            turn.send(self._surveyor, SurveyOver(self._number))
        self._go_on(turn)

    def _go_on(self, turn: Turn) -> None:
        """Let the surveyor begin with the next one, unless it is at work."""
        if self._under_way is None and self._waiting and not self._paused:
            self._under_way = self._waiting.popleft()
            self._number += 1
            [entry] = self._under_way.run.log_entries()
            turn.send(self._surveyor, Survey(self._number, entry, self._under_way.through))
