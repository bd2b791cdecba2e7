"""Is a history linearizable? And if not: the few operations that show it.

A history is linearizable if every operation can have taken effect at one moment between its call and its return
(Herlihy & Wing, 1990). It is linearizable if each key's history is, so keys are judged one by one. Keys that an
operation joins, and those that have deadlines, are judged together (``dkv.sim.joint``). ``dkv.sim.search`` looks for an
order. A few operations that have no order, whatever the key held before, are a proof as well, and a short one. The
check looks for them where the search gets no further, so it need not go through all that came before.

Writes of unknown outcome make a search long, and nobody ever saw most of them. So the search first leaves those out, as
if they had never taken effect, and then takes a few of them in: any order proves that the history is good.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from math import inf

from dkv.sim.counterexample import Counterexample, Part
from dkv.sim.counts import Miscount, counts_some, miscount, parts
from dkv.sim.history import Operation
from dkv.sim.joint import Tolerance, TooManySteps, components, judge_joint
from dkv.sim.model import ANYTHING, State
from dkv.sim.search import Search, only_reads
from dkv.sim.seen import spare

STEPS_MAX = 10_000_000
"""The default limit of steps for one key: about ten seconds, and half a gigabyte of memory."""

PATIENCE_STEPS = 10_000
"""How many steps a search may take without a result before a counterexample is looked for where it stands."""

SPARES_MAX = 4
"""How many of the writes that nobody seems to have seen are tried, before all are."""

WINDOW_RETURNS = 64
"""The most returns in a counterexample."""

COUNT_RETURNS = 16
"""How many returns are looked at to find out whether a key existed when several were deleted."""


EXACT = Tolerance()
"""Deadlines are kept to the moment."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a history.

    If it is not linearizable, ``window`` shows why, on ``key``; or ``miscount`` does. If it is ``undecided``, the
    search for ``key`` took too many steps, and no other key was found wrong.
    """

    linearizable: bool
    undecided: bool = False
    key: bytes | None = None
    window: Counterexample | None = None
    miscount: Miscount | None = None

    @property
    def proof(self) -> Counterexample | Miscount:
        """The proof that the history is not linearizable, if there is one."""
        proof = self.window or self.miscount
        assert proof is not None, "nothing was found wrong"
        return proof


def check(operations: Iterable[Operation], steps_max: int = STEPS_MAX, tolerance: Tolerance = EXACT) -> Verdict:
    """Judge a history; the keys with the fewest operations first.

    ``steps_max`` is for each key, or for those that belong together. ``tolerance`` is for deadlines.
    """
    apart, joint = components(list(operations))
    keys: dict[bytes, list[Operation]] = {}
    counts = []
    for operation in apart:
        its_parts = parts(operation)
        for part in its_parts:
            keys.setdefault(part.key, []).append(part)
        if counts_some(operation):
            counts.append((operation, its_parts))
    verdict = Verdict(True)
    judged = [
        *((len(history), key, partial(_judge, history, steps_max)) for key, history in keys.items()),
        *((len(each), _first_key(each), partial(judge_joint, each, tolerance, steps_max)) for each in joint),
    ]
    for _, key, judge in sorted(judged, key=lambda each: each[:2]):
        try:
            window = judge()
        except TooManySteps:
            verdict = Verdict(False, undecided=True, key=key)
            continue
        if window is not None:
            return Verdict(False, key=window.key, window=window)
    for operation, its_parts in counts:
        wrong = miscount(operation, its_parts, lambda part, told: _is_refuted(keys[part.key], part, told))
        if wrong is not None:
            return Verdict(False, key=operation.key, miscount=wrong)
    return verdict


def _first_key(history: list[Operation]) -> bytes:
    return min((key for each in history for key in each.keys), default=b"")


def _judge(history: list[Operation], steps_max: int) -> Counterexample | None:
    """None if the history of one key is linearizable."""
    search = Search(history)
    guess = _Guess(history)
    patience = PATIENCE_STEPS
    while True:
        if guess.run(patience):
            return None
        found = search.run(min(patience, steps_max - search.steps))
        if found:
            return None
        suffixes = _Suffixes(history, search.blocked)
        part = suffixes.shortest(WINDOW_RETURNS if found is None else len(suffixes))
        if part is None and found is False:
            part = suffixes.part(len(suffixes), None)
        if part is not None:
            return part.shrunk()
        if search.steps >= steps_max:
            raise TooManySteps
        patience *= 2


class _Guess:
    """A search for an order without most of the writes that can be spared: with none of them, then with one, two ..."""

    def __init__(self, history: list[Operation]) -> None:
        self._history = history
        self._spare = spare(history)
        self._spares_max = -1
        self._search: Search | None = None
        self._go_on()

    def _go_on(self) -> None:
        self._spares_max += 1
        over = self._spares_max > SPARES_MAX or self._spares_max >= len(self._spare)
        self._search = None if over else Search(self._history, spare=self._spare, spares_max=self._spares_max)

    def run(self, steps: int) -> bool:
        """Go on for about so many steps, with each number of writes, and return whether there is such an order."""
        while self._search is not None:
            found = self._search.run(steps)
            if found is not False:
                return found is True
            self._go_on()
        return False


def _is_refuted(history: list[Operation], part: Operation, told: Operation) -> bool:
    """Whether there certainly is no order of the operations up to ``part`` if its result had been ``told``."""
    told_so = [told if each is part else each for each in history]
    suffixes = _Suffixes(told_so, told)
    if suffixes.shortest(COUNT_RETURNS) is not None:
        return True
    return len(suffixes) <= COUNT_RETURNS and suffixes.part(len(suffixes), None).refuted()


class _Suffixes:
    """The part of a history that begins a number of returns before the call of ``goal`` and ends with its return.

    Operations that had returned before are left out. Those that were open at that time are optional, because they may
    have taken effect before. If there is no order for any value, there is none for the whole history. The goal itself
    must not have been open: it may have been the first.
    """

    def __init__(self, history: list[Operation], goal: Operation) -> None:
        assert goal.returned is not None
        self._goal = goal
        self._until = [each for each in history if each.called <= goal.returned]
        ends = {each.returned for each in self._until if each.returned is not None and each.returned < goal.called}
        self._ends = [*sorted(ends, reverse=True), -inf]

    def __len__(self) -> int:
        return len(self._ends)

    def part(self, returns: int, state: State) -> Part:
        """The part that begins ``returns`` returns before, with the value ``state``."""
        start = self._ends[returns - 1]
        left = [each for each in self._until if each.returned is None or each.returned > start]
        opened = [each for each in left if each.called <= start and not only_reads(each)]
        began = [each for each in left if each.called > start]
        return Part(began, opened, self._goal, state)

    def shortest(self, returns_max: int) -> Part | None:
        """The shortest part that has no order; None if none is refuted."""
        bottom, top = 0, 1
        while (found := self._refuted(top)) is None:
            if top >= min(returns_max, len(self)):
                return None
            bottom, top = top, min(2 * top, len(self))
        while top - bottom > 1:
            middle = (bottom + top) // 2
            part = self._refuted(middle)
            if part is None:
                bottom = middle
            else:
                found, top = part, middle
        return found

    def _refuted(self, returns: int) -> Part | None:
        part = self.part(returns, ANYTHING)
        return part if part.refuted() else None
