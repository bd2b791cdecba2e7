"""Deadlines: no client waits for more than ``request_seconds``, whatever becomes of its request.

A request that has no number yet is refused: it has no effect, then or later. One that has a number is answered
UNCERTAIN, since it may be chosen at any time. Its batch stays and is sent again (B28).

Once a node is no member any more nothing waits on: no further batch of it ever takes effect.
"""

from __future__ import annotations

from collections import deque
from math import inf

from dkv.actor import Turn
from dkv.gateway.availability import Availability, note_refusal
from dkv.gateway.batches import Batches
from dkv.gateway.lanes import Lanes
from dkv.gateway.reads import Reads
from dkv.gateway.runs import Run
from dkv.gateway.surveys import Surveys
from dkv.replies import Error

DEADLINES_PER_TIMEOUT = 20
"""How often in ``request_seconds`` all that waits is looked through: a request may wait so much longer."""


class Deadlines:
    """Answers what has waited for ``seconds``: in ``lanes``, ``batches``, ``reads`` and ``surveys``."""

    def __init__(
        self,
        lanes: Lanes,
        batches: Batches,
        reads: Reads,
        surveys: Surveys,
        availability: Availability,
        seconds: float,
    ) -> None:
        self._lanes = lanes
        self._batches = batches
        self._reads = reads
        self._surveys = surveys
        self._availability = availability
        self._seconds = seconds
        self._watching = False

    def watch(self, turn: Turn) -> None:
        """Something waits: make sure that the timer ``deadline`` is set."""
        if not self._watching:
            self._watching = True
            turn.set_timer("deadline", self._seconds / DEADLINES_PER_TIMEOUT)

    def watch_on(self, turn: Turn) -> None:
        """The timer has fired: set it again if anything waits."""
        self._watching = False
        if self._lanes or self._batches.outstanding or self._lanes.to_log or self._reads.asked:
            self.watch(turn)

    def expire(self, turn: Turn) -> None:
        """Answer what has waited too long, oldest first."""
        expired = turn.now - self._seconds
        self._surveys.expire(turn, expired)
        self._expire(turn, expired, self._availability.uncertain)

    def dismiss(self, turn: Turn, numbered: Error) -> None:
        """This node is no member any more: answer all that waits, writes that have a number with ``numbered``."""
        self._expire(turn, inf, numbered)
        self._batches.give_up()

    def _expire(self, turn: Turn, expired: float, uncertain: Error) -> None:
        self._expire_numbered(turn, expired, uncertain)
        for run in self._reads.under_way():
            if run.arrived <= expired:
                self._refuse(turn, run)
        self._reads.forget(self._lanes.is_settled)
        self._expire_waiting(turn, self._reads.waiting, expired)
        # The log comes last: writes that had stalled behind those reads have just joined it.
        self._expire_waiting(turn, self._lanes.to_log, expired)

    def _expire_numbered(self, turn: Turn, expired: float, uncertain: Error) -> None:
        """What is in a batch: a write may take effect, now or later; a read has no effect and is refused."""
        refusal = self._availability.refusal
        for outstanding in self._batches.outstanding:
            for run in outstanding.runs:
                if run.arrived <= expired:
                    note_refusal(turn, uncertain, 0 if run.answered else run.entries)
                    self._lanes.answer(run, run.outcomes(writes=uncertain, reads=refusal))

    def _expire_waiting(self, turn: Turn, runs: deque[Run], expired: float) -> None:
        """Take out and refuse what arrived by ``expired``: not only at the front, where later arrivals may stand."""
        for _ in range(len(runs)):
            run = runs.popleft()
            if run.arrived <= expired:
                self._refuse(turn, run)
            else:
                runs.append(run)

    def _refuse(self, turn: Turn, run: Run) -> None:
        """The run has no number, or is of reads alone: it takes no effect."""
        refusal = self._availability.refusal
        note_refusal(turn, refusal, 0 if run.answered else run.entries)
        self._lanes.answer(run, [refusal] * run.entries)
