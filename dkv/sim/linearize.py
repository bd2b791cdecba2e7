"""Is a history linearizable? And if not: the few operations that show it.

A history is linearizable if every operation can have taken effect at one moment between its call and its return
(Herlihy & Wing, 1990). It is linearizable if each key's history is, so keys are judged one by one. ``dkv.sim.search``
looks for an order. A few operations that have no order, whatever the key held before, are a proof as well, and a short
one. The check looks for them where the search gets no further, so it need not go through all that came before.

Writes of unknown outcome make a search long, and nobody ever saw most of them. So the search first leaves those out, as
if they had never taken effect, and then takes a few of them in: any order proves that the history is good.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf

from dkv.sim.counts import Miscount, counts_some, miscount, parts
from dkv.sim.history import Operation, readable
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

WINDOW_STEPS = 20_000
"""For the search through one counterexample; SHRINKING_STEPS to make one smaller, after which it is small enough."""
SHRINKING_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class Counterexample:
    """Operations on one key, sorted by their calls, that no order explains. Without any one of them an order would.

    It holds for every value before, if ``whatever``; else the first operation found the key absent. ``others`` counts
    operations that may have changed the value at that time; no order explains it with or without their effects.
    """

    operations: tuple[Operation, ...]
    blocked: Operation
    whatever: bool
    others: int

    @property
    def key(self) -> bytes:
        """The key."""
        return self.blocked.key

    @property
    def text(self) -> str:
        """A line for each operation, with times counted from the first call, and the one that cannot be explained."""
        rows = [("called", "returned", "client", "")]
        for each in self.operations:
            call = f"{each} -> {_told(each)}"
            rows.append((self._time(each.called), self._time(each.returned), readable(each.client), call))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [
            "  ".join((*(cell.rjust(width) for cell, width in zip(row, widths, strict=False)), row[3])).rstrip()
            for row in rows
        ]
        return "\n".join((*lines, self.sentence))

    @property
    def sentence(self) -> str:
        """What cannot be explained."""
        before = "whatever the key held before" if self.whatever else "the key being absent at first"
        others = ""
        if self.others:
            others = f", and whether or not {self.others} other write{'s' * (self.others > 1)} took effect"
        return (
            f"No order of these explains what client {readable(self.blocked.client)} was told at "
            f"{self._time(self.blocked.returned)}, {before}{others}."
        )

    def _time(self, time: float | None) -> str:
        assert time is not None, "an operation of unknown outcome can only help to explain others"
        return f"+{time - self.operations[0].called:.6f}".rstrip("0").rstrip(".")


def _told(operation: Operation) -> str:
    if operation.kind == "put":
        return "ok"
    return "1 or 0" if operation.result is None and operation.kind == "delete" else readable(operation.result)


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


def check(operations: Iterable[Operation], steps_max: int = STEPS_MAX) -> Verdict:
    """Judge a history; the keys with the fewest operations first. ``steps_max`` is for each key."""
    keys: dict[bytes, list[Operation]] = {}
    counts = []
    for operation in operations:
        its_parts = parts(operation)
        for part in its_parts:
            keys.setdefault(part.key, []).append(part)
        if counts_some(operation):
            counts.append((operation, its_parts))
    verdict = Verdict(True)
    for key, history in sorted(keys.items(), key=lambda item: (len(item[1]), item[0])):
        try:
            window = _judge(history, steps_max)
        except _TooManySteps:
            verdict = Verdict(False, undecided=True, key=key)
            continue
        if window is not None:
            return Verdict(False, key=key, window=window)
    for operation, its_parts in counts:
        wrong = miscount(operation, its_parts, lambda part, told: _is_refuted(keys[part.key], part, told))
        if wrong is not None:
            return Verdict(False, key=operation.key, miscount=wrong)
    return verdict


class _TooManySteps(Exception):
    pass


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
            raise _TooManySteps
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


class _Part:
    """Some operations, and the search for an order of them that leads past the return of ``goal``.

    The ``optional`` ones may have taken effect or not. To make the outcome of an operation unknown, or to leave out a
    read, allows more orders and never fewer. If there is still none, the proof does not need that operation.
    """

    def __init__(self, operations: list[Operation], optional: list[Operation], goal: Operation, state: State) -> None:
        self.operations = operations
        self.optional = optional
        self.goal = goal
        self.state = state
        self.steps = 0

    def refuted(self) -> bool:
        """Whether there certainly is no such order."""
        search = Search(self.operations, self.state, self.goal, self.optional)
        found = search.run(WINDOW_STEPS)
        self.steps = search.steps + len(self.operations)  # it takes time, too, to lay them out
        return found is False

    def shrunk(self) -> Counterexample:
        """The rest of a refuted part, when every operation that the proof does not need is loosened."""
        part, steps = self, 0
        size = len(self.operations)
        while size:
            size = (size + 1) // 2 if size > 1 else 0
            first = 0
            while first < len(part.operations) and steps < SHRINKING_STEPS:
                smaller = part._loosened(first, max(size, 1))
                refuted = smaller.operations != part.operations and smaller.refuted()
                steps += smaller.steps
                if refuted:
                    first += len(smaller.operations) - len(part.operations)
                    part = smaller
                first += max(size, 1)
        return part._window()

    def _loosened(self, first: int, count: int) -> _Part:
        chosen = range(first, first + count)
        numbered = enumerate(self.operations)
        loose = (each if at not in chosen or each is self.goal else loosened(each) for at, each in numbered)
        return _Part([each for each in loose if each is not None], self.optional, self.goal, self.state)

    def _window(self) -> Counterexample:
        known = [each for each in self.operations if each.returned is not None]
        others = len(self.optional) + sum(each.returned is None and each.kind != "get" for each in self.operations)
        known.sort(key=lambda each: each.called)
        return Counterexample(tuple(known), self.goal, self.state == ANYTHING, others)


def loosened(operation: Operation) -> Operation | None:
    """The operation with an unknown outcome; None for a read, which then says nothing."""
    return None if only_reads(operation) else replace(operation, returned=None, result=None)


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

    def part(self, returns: int, state: State) -> _Part:
        """The part that begins ``returns`` returns before, with the value ``state``."""
        start = self._ends[returns - 1]
        left = [each for each in self._until if each.returned is None or each.returned > start]
        opened = [each for each in left if each.called <= start and not only_reads(each)]
        began = [each for each in left if each.called > start]
        return _Part(began, opened, self._goal, state)

    def shortest(self, returns_max: int) -> _Part | None:
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

    def _refuted(self, returns: int) -> _Part | None:
        part = self.part(returns, ANYTHING)
        return part if part.refuted() else None
