"""Histories of keys that belong together: operations on several keys at one moment, and keys with deadlines.

Keys that an operation joins are judged together, all others by themselves: a history is linearizable if each such
component is. In a component every operation becomes a transaction whose deadlines are facts (``dkv.sim.acts``), and the
search is the one for a single key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from math import inf
from typing import Any, NamedTuple

from dkv.sim.acts import GONE, Deadline, Several, is_inner, single, step_several
from dkv.sim.counterexample import Counterexample, Part
from dkv.sim.history import Operation
from dkv.sim.search import Search, only_reads

SPARES_MAX = 4
"""How many of the writes of unknown outcome are tried to explain the answers, before all are."""
GUESS_STEPS = 50_000
"""How many steps each of these searches may take."""
SHRINKING_STEPS = 100_000
"""How many steps are spent on a small counterexample: each costs more than one for a single key."""
OF_ONE_KEY = ("put", "get", "append", "delete", "strlen", "cas", "incr")
"""Kinds that join nothing and know no deadlines."""


class Tolerance(NamedTuple):
    """How much earlier and later than its deadline a key may go, in the unit of the times."""

    early: float = 0.0
    late: float = 0.0


class TooManySteps(Exception):  # it is no error of anybody
    """A search was given up."""


class _Joined:
    """Sets of keys that grow together."""

    def __init__(self) -> None:
        self._above: dict[bytes, bytes] = {}

    def root(self, key: bytes) -> bytes:
        """The key that stands for the set of ``key``."""
        while (above := self._above.get(key, key)) != key:
            key = above
        return key

    def join(self, keys: Iterable[bytes]) -> None:
        """Make one set of the sets of all these keys."""
        roots = [self.root(key) for key in keys]
        for root in roots[1:]:
            if self.root(root) != self.root(roots[0]):
                self._above[self.root(root)] = self.root(roots[0])


def components(operations: list[Operation]) -> tuple[list[Operation], list[list[Operation]]]:
    """The operations on keys that nothing joins and that have no deadlines, and the components of the others."""
    every = sorted({key for each in operations for key in each.keys})
    joined = _Joined()
    touched: dict[int, list[bytes]] = {}
    for at, each in enumerate(operations):
        if each.kind not in OF_ONE_KEY:
            touched[at] = [*each.keys, *_flushed(each, every)]
            joined.join(touched[at])
    special = {key for its_keys in touched.values() for key in its_keys}
    grown = True
    while grown:  # a delete of several keys joins them, if one of them is in a component
        roots = {joined.root(key) for key in special}
        deletes = [each.keys for each in operations if each.kind == "delete" and len(each.keys) > 1]
        before = len(special)
        for some in deletes:
            if any(joined.root(key) in roots for key in some):
                special.update(some)
                joined.join(some)
        grown = len(special) > before
    apart: list[Operation] = []
    parts: dict[bytes, list[Operation]] = {}
    for at, each in enumerate(operations):
        roots = {joined.root(key) for key in special.intersection(touched.get(at, each.keys))}
        if roots:
            parts.setdefault(min(roots), []).append(each)
        elif each.kind in OF_ONE_KEY:
            apart.append(each)
    return apart, list(parts.values())


def _flushed(operation: Operation, every: list[bytes]) -> list[bytes]:
    prefixes = tuple(act[1] for act in operation.acts if act[0] == "flush")
    return [key for key in every if key.startswith(prefixes)] if prefixes else []


def judge_joint(history: list[Operation], tolerance: Tolerance, steps_max: int) -> Counterexample | None:
    """None if the history of a component is linearizable."""
    originals: dict[int, Operation] = {}
    prepared = []
    numbers = count()
    for each in history:
        made = [*_prepared(single(each), tolerance, numbers)]
        originals[id(made[-1])] = each
        prepared += made
    prepared += _vanishing(prepared)
    spare = [each for each in prepared if each.returned is None and not (is_inner(each) or only_reads(each))]
    for spares in range(min(SPARES_MAX + 1, len(spare))):
        guess = Search(prepared, Several(), spare=spare, spares_max=spares, model=step_several)
        if guess.run(min(GUESS_STEPS, steps_max)):
            return None
    search = Search(prepared, Several(), model=step_several)
    found = search.run(steps_max)
    if found:
        return None
    if found is None:
        raise TooManySteps
    goal = search.blocked
    assert goal.returned is not None
    until = [each for each in prepared if each.called <= goal.returned]
    window = Part(until, [], goal, Several(), step_several).shrunk(SHRINKING_STEPS)
    shown = tuple(originals[id(each)] for each in window.operations)
    return replace(window, operations=shown, blocked=originals[id(goal)])


def _prepared(operation: Operation, tolerance: Tolerance, numbers: Iterator[int]) -> Iterator[Operation]:
    """The watches of an operation, and itself with deadlines for lives."""
    end = inf if operation.returned is None else operation.returned

    def deadline(life: Any) -> Any:
        if life is None or life == "keep":
            return life
        if life <= 0:
            return GONE
        return Deadline(next(numbers), operation.called + life - tolerance.early, end + life + tolerance.late)

    acts = []
    for act in operation.arguments:
        kind, key, *arguments = act
        if kind == "unchanged":
            number = next(numbers)
            called, returned = arguments
            yield Operation(operation.client, "atomic", b"", (("watch", key, number),), called, returned, ())
            arguments = [number]
        elif kind == "set":
            arguments[2] = deadline(arguments[2])
        elif kind == "expire":
            arguments[0] = deadline(arguments[0])
        acts.append((kind, key, *arguments))
    result = operation.result
    if isinstance(result, tuple):
        told = [act for act in acts if act[0] not in ("absent", "present", "unchanged")]
        pairs = zip(told, result, strict=True)
        result = tuple(_lies(each, operation, tolerance) if act[0] == "ttl" else each for act, each in pairs)
    yield replace(operation, arguments=tuple(acts), result=result)


def _lies(rest: Any, operation: Operation, tolerance: Tolerance) -> Any:
    """Between which times a deadline lies, if it was told how much time is left."""
    if rest is None or isinstance(rest, bool) or not isinstance(rest, int | float):
        return rest
    assert operation.returned is not None
    return operation.called + rest - tolerance.early, operation.returned + rest + tolerance.late


def _vanishing(prepared: list[Operation]) -> Iterator[Operation]:
    """For each deadline, the operation that lets its keys go."""
    for each in prepared:
        for act in each.arguments:
            for argument in act[2:]:
                if isinstance(argument, Deadline):
                    vanish = ("vanish", act[1], argument.number)
                    yield Operation(each.client, "atomic", b"", (vanish,), argument.earliest)
