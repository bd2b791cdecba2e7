"""Histories for tests of the checker, and the definition of linearizability that it is compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import combinations, permutations
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.sim.history import Kind, Operation
from dkv.sim.linearize import check
from dkv.sim.model import State, step

KINDS: tuple[Kind, ...] = ("put", "get", "append", "delete", "strlen", "cas", "incr")


def op(client: int, call: str, called: float, returned: float | None = None, result: Any = None) -> Operation:
    """An operation on key k; ``call`` is its kind and its arguments, with - for none."""
    kind, *words = call.split()
    arguments: tuple[Any, ...] = tuple(None if word == "-" else word.encode() for word in words)
    if kind == "incr":
        arguments = (int(words[0]),)
    return Operation(client, kind, b"k", arguments, called, returned, result)  # type: ignore[arg-type]


def brute_force(operations: list[Operation], state: State = None) -> bool:
    """Every subset of those of unknown outcome, in every order."""
    known = [each for each in operations if each.returned is not None]
    unknown = [each for each in operations if each.returned is None]
    chosen = (known + list(some) for count in range(len(unknown) + 1) for some in combinations(unknown, count))
    return any(_fits(order, state) for some in chosen for order in permutations(some))


def _fits(order: tuple[Operation, ...], state: State) -> bool:
    for at, operation in enumerate(order):
        if any(later.returned is not None and later.returned < operation.called for later in order[at + 1 :]):
            return False
        allowed, state = step(state, operation)
        if not allowed:
            return False
    return True


def compare_with_definition(
    test: SynchronousTestCase,
    histories: st.SearchStrategy[list[Operation]],
    count: int,
    each_verdict_min: int,
    first: Iterable[list[Operation]] = (),
) -> None:
    """The checker decides ``count`` histories as ``brute_force`` does, and those in ``first``.

    Each of the two verdicts must come up ``each_verdict_min`` times: a comparison that sees only one shows little.
    """
    verdicts: Counter[bool] = Counter()

    def same(history: list[Operation]) -> None:
        expected = brute_force(history)
        verdict = check(history)
        test.assertEqual((verdict.linearizable, verdict.undecided), (expected, False))
        verdicts[expected] += 1

    compared = given(histories)(same)
    for history in first:
        compared = example(history)(compared)
    settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))(compared)()
    test.assertGreater(min(verdicts[True], verdicts[False]), each_verdict_min, verdicts)


@st.composite
def tiny_histories(draw: st.DrawFn) -> list[Operation]:
    """Up to six operations, with answers that are often plausible and times that are often equal."""
    history = []
    for client in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(KINDS))
        value = st.sampled_from((b"1", b"2"))
        maybe = st.sampled_from((None, b"1", b"2", b"12", b"11"))
        arguments, result = {
            "put": (st.tuples(value), st.none()),
            "get": (st.just(()), maybe),
            "append": (st.tuples(value), st.integers(1, 3)),
            "delete": (st.just(()), st.none() | st.integers(0, 1)),
            "strlen": (st.just(()), st.integers(0, 2)),
            "cas": (st.tuples(maybe, value), st.booleans()),
            "incr": (st.just((1,)), st.integers(1, 3)),
        }[kind]
        called, duration = draw(st.integers(0, 8)), draw(st.integers(0, 5))
        known = draw(st.integers(0, 3)) > 0
        returned, answer = (float(called + duration), draw(result)) if known else (None, None)
        history.append(Operation(client, kind, b"k", draw(arguments), float(called), returned, answer))
    return history
