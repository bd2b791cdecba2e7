"""Lanes: the requests of each connection take effect in the order in which it sent them.

Writes go by the log and reads by a barrier, which are two ways of different speed. So a connection's read that follows
an unanswered write goes by the log too, and a write that follows unanswered reads stalls until these are answered. A
read that may take long is under way alone: it stalls until all before it is answered, and what follows stalls behind
it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from dkv.client_events import Replies
from dkv.gateway.reads import Reads
from dkv.gateway.runs import Run
from dkv.replies import Local, Result


class Lane:
    """A connection with requests unanswered: how many of its runs wait where, and what waits behind them."""

    __slots__ = ("in_log", "in_reads", "newest", "stalled")

    def __init__(self) -> None:
        self.in_log = 0
        self.in_reads = 0
        self.newest: Run | None = None
        """The last run that went its way, if it is not answered."""
        self.stalled: list[Run] = []
        """Oldest first; each goes its way when what it must not overtake is answered."""

    def must_stall(self, run: Run) -> bool:
        """Whether the run must not go its way before something that is under way is answered."""
        if run.alone or (self.newest is not None and self.newest.alone):
            return self.in_log > 0 or self.in_reads > 0
        return self.in_reads > 0 and (run.writes > 0 or self.in_log > 0)


class Lanes:
    """The lanes of all connections that have requests unanswered.

    A run goes into ``to_log``, where it waits for a number, or to ``reads``, where it waits for a barrier.
    """

    def __init__(self, reads: Reads) -> None:
        self.to_log: deque[Run] = deque()
        self.replies: list[Replies] = []
        """Those of the turn under way."""
        self._reads = reads
        self._lanes: dict[int, Lane] = {}

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def __contains__(self, connection: int) -> bool:
        return connection in self._lanes

    def is_settled(self, run: Run) -> bool:
        """Whether nobody waits for the run's answer any more."""
        return run.answered or run.connection not in self._lanes

    def take_in(self, run: Run) -> bool:
        """A run has come in: let it go its way behind what its connection asked before; whether it went."""
        lane = self._lanes.get(run.connection)
        if lane is None:
            if not run.entries:
                self.reply(run, [])
                return False
            lane = self._lanes[run.connection] = Lane()
        if lane.stalled:
            lane.stalled.append(run)
            return False
        return self.admit(lane, run)

    def admit(self, lane: Lane, run: Run) -> bool:
        """Let a run go its way, or stall it behind earlier reads; whether it went."""
        if not run.entries:
            if lane.newest is None:
                self.reply(run, [])
            else:
                lane.newest.take_in(run)  # to be answered behind it
            return False
        if (lane.in_log or lane.in_reads) and lane.must_stall(run):
            lane.stalled.append(run)
            return False
        if run.writes or lane.in_log:
            run.in_log = True
            lane.in_log += 1
            self.to_log.append(run)
        else:
            lane.in_reads += 1
            self._reads.waiting.append(run)
        lane.newest = run
        return True

    def share_out(self, runs: list[Run], results: Sequence[Result]) -> bool:
        """Answer runs with results, one for each entry; whether that let others go their way."""
        position, went = 0, False
        for run in runs:
            went |= self.answer(run, results[position : position + run.entries])
            position += run.entries
        return went

    def answer(self, run: Run, results: Sequence[Result | Local]) -> bool:
        """Answer a run; whether that let others go their way, which had stalled behind it.

        Nothing happens if the run was answered before (it had waited too long) or its connection is gone.
        """
        lane = self._lanes.get(run.connection)
        if lane is None or run.answered:
            return False
        run.answered = True
        if run.in_log:
            lane.in_log -= 1
        else:
            lane.in_reads -= 1
        self.reply(run, results)
        if lane.newest is run:
            lane.newest = None
        went = False
        while lane.stalled and not lane.must_stall(lane.stalled[0]):
            went |= self.admit(lane, lane.stalled.pop(0))
        if not (lane.in_log or lane.in_reads):
            del self._lanes[run.connection]
        return went

    def reply(self, run: Run, results: Sequence[Result | Local]) -> None:
        """Send these results, with this turn's other replies."""
        self.replies.append(Replies(run.connection, run.replies(results), run.size))

    def close(self, connection: int) -> None:
        """Let go of what the connection asked and has no number yet. The rest takes its course."""
        if self._lanes.pop(connection, None) is not None:
            self.to_log = deque(run for run in self.to_log if run.connection != connection)
            self._reads.waiting = deque(run for run in self._reads.waiting if run.connection != connection)
