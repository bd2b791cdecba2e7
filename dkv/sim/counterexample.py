"""The few operations that show why a history is not linearizable, and how they are found among many."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dkv.sim.acts import is_inner
from dkv.sim.fields import NO_RESULT
from dkv.sim.history import Operation, readable
from dkv.sim.model import ANYTHING, step
from dkv.sim.search import Model, Search, only_reads

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
        """The key, or the first of them."""
        return next(iter(self.blocked.keys), b"")

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All keys that the operations name."""
        return tuple(dict.fromkeys(key for each in self.operations for key in each.keys))

    @property
    def text(self) -> str:
        """A line for each operation, with times counted from the first call, and the one that cannot be explained."""
        several = len(self.keys) > 1
        rows = [("called", "returned", "client", "")]
        for each in self.operations:
            key = f"{readable(each.key)}: " if several and each.kind != "atomic" else ""
            call = f"{key}{each} -> {_told(each)}"
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
        absent = "the key" if len(self.keys) < 2 else "all keys"
        before = "whatever the key held before" if self.whatever else f"{absent} being absent at first"
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
    if operation.kind in NO_RESULT:
        return "ok"
    return "1 or 0" if operation.result is None and operation.kind == "delete" else readable(operation.result)


class Part:
    """Some operations, and the search for an order of them that leads past the return of ``goal``.

    The ``optional`` ones may have taken effect or not. To make the outcome of an operation unknown, or to leave out a
    read, allows more orders and never fewer. If there is still none, the proof does not need that operation.
    """

    def __init__(
        self, operations: list[Operation], optional: list[Operation], goal: Operation, state: Any, model: Model = step
    ) -> None:
        self.operations = operations
        self.optional = optional
        self.goal = goal
        self.state = state
        self.model = model
        self.steps = 0

    def refuted(self) -> bool:
        """Whether there certainly is no such order."""
        search = Search(self.operations, self.state, self.goal, self.optional, model=self.model)
        found = search.run(WINDOW_STEPS)
        self.steps = search.steps + len(self.operations)  # it takes time, too, to lay them out
        return found is False

    def shrunk(self, steps_max: int = SHRINKING_STEPS) -> Counterexample:
        """The rest of a refuted part, when every operation that the proof does not need is loosened."""
        part, steps = self, 0
        size = len(self.operations)
        while size:
            size = (size + 1) // 2 if size > 1 else 0
            first = 0
            while first < len(part.operations) and steps < steps_max:
                smaller = part._loosened(first, max(size, 1))
                refuted = smaller.operations != part.operations and smaller.refuted()
                steps += smaller.steps
                if refuted:
                    first += len(smaller.operations) - len(part.operations)
                    part = smaller
                first += max(size, 1)
        return part._window()

    def _loosened(self, first: int, count: int) -> Part:
        chosen = range(first, first + count)
        numbered = enumerate(self.operations)
        loose = (each if at not in chosen or each is self.goal else loosened(each) for at, each in numbered)
        return Part([each for each in loose if each is not None], self.optional, self.goal, self.state, self.model)

    def _window(self) -> Counterexample:
        asked = [each for each in self.operations if not is_inner(each)]
        known = [each for each in asked if each.returned is not None]
        others = len(self.optional) + sum(each.returned is None and each.kind != "get" for each in asked)
        known.sort(key=lambda each: each.called)
        return Counterexample(tuple(known), self.goal, self.state == ANYTHING, others)


def loosened(operation: Operation) -> Operation | None:
    """The operation with an unknown outcome; None for a read, which then says nothing."""
    return None if only_reads(operation) else replace(operation, returned=None, result=None)
