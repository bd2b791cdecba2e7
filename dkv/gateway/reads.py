"""The reads of one node on their way: they wait for a barrier, then for the learner, a bounded number at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dkv.client_events import Read
from dkv.gateway.runs import Run, take_few

BARRIERS_ASKED_MAX = 4
"""How many requests for a barrier may be unanswered at once."""
READABLE_MAX = 16
"""How many groups of reads may wait for the learner before another barrier is asked for."""
READ_ENTRIES_MAX = 64
"""How many reads are evaluated at once: what they bring is in memory together."""


@dataclass(slots=True)
class _Asked:
    """Runs of reads that share a barrier, and the number of the request for it."""

    number: int
    runs: list[Run]


@dataclass(slots=True)
class _Readable:
    """Runs of reads that are evaluated together, once all up to ``through`` is applied."""

    through: int
    runs: list[Run]


class Reads:
    """``waiting`` holds the runs for which no barrier has been asked yet."""

    def __init__(self) -> None:
        self.waiting: deque[Run] = deque()
        self._asked: deque[_Asked] = deque()
        self._readable: deque[_Readable] = deque()
        self._barriers = 0
        self._reads = 0
        self._evaluating = False

    @property
    def asked(self) -> int:
        """The number of the newest barrier request that is not answered; 0 if there is none."""
        return self._asked[-1].number if self._asked else 0

    def under_way(self) -> Iterator[Run]:
        """The runs past ``waiting``, oldest first."""
        for readable in self._readable:
            yield from readable.runs
        for asked in self._asked:
            yield from asked.runs

    def ask(self) -> int:
        """Let everything that waits share a barrier: the number to ask for it with, 0 if none is to be asked now."""
        if not self.waiting or len(self._asked) >= BARRIERS_ASKED_MAX or len(self._readable) >= READABLE_MAX:
            return 0
        self._barriers += 1
        self._asked.append(_Asked(self._barriers, list(self.waiting)))
        self.waiting.clear()
        return self._barriers

    def barrier(self, number: int, through: int) -> None:
        """Requests up to ``number`` are answered: their reads may be served once ``through`` is applied."""
        runs: deque[Run] = deque()
        while self._asked and self._asked[0].number <= number:
            runs.extend(self._asked.popleft().runs)
        while runs:
            self._readable.append(_Readable(through, take_few(runs, READ_ENTRIES_MAX)))

    def next_read(self, is_settled: Callable[[Run], bool]) -> Read | None:
        """What the learner is to evaluate next, for runs whose client still waits; None while it is at work."""
        if self._evaluating:
            return None
        while self._readable and all(map(is_settled, self._readable[0].runs)):
            self._readable.popleft()
        if not self._readable:
            return None
        self._evaluating = True
        self._reads += 1
        first = self._readable[0]
        return Read(self._reads, first.through, [entry for run in first.runs for entry in run.log_entries()])

    def evaluated(self, number: int) -> list[Run]:
        """The learner has evaluated read ``number``: the runs that it was for."""
        assert self._evaluating and number == self._reads, f"read {number} answered, {self._reads} is the newest"
        self._evaluating = False
        return self._readable.popleft().runs

    def forget(self, is_settled: Callable[[Run], bool]) -> None:
        """Ask no more for barriers for which nobody waits."""
        self._asked = deque(asked for asked in self._asked if not all(map(is_settled, asked.runs)))
