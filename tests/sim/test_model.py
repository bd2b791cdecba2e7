"""The sequential model: what each operation answers and leaves, one at a time."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.sim.history import Kind, Operation
from dkv.sim.model import ANYTHING, State, step

ALLOWED: list[tuple[bytes | None, Kind, tuple[Any, ...], Any, bytes | None]] = [
    (None, "put", (b"1",), None, b"1"),
    (b"0", "put", (b"",), None, b""),
    (None, "get", (), None, None),
    (b"", "get", (), b"", b""),
    (None, "append", (b"ab",), 2, b"ab"),
    (None, "append", (b"",), 0, b""),
    (b"a", "append", (b"b",), 2, b"ab"),
    (b"a", "delete", (), 1, None),
    (None, "delete", (), 0, None),
    (None, "strlen", (), 0, None),
    (b"", "strlen", (), 0, b""),
    (b"ab", "strlen", (), 2, b"ab"),
    (None, "cas", (None, b"1"), True, b"1"),
    (b"1", "cas", (None, b"2"), False, b"1"),
    (b"1", "cas", (b"1", b"2"), True, b"2"),
    (b"", "cas", (b"1", b"2"), False, b""),
    (None, "incr", (5,), 5, b"5"),
    (b"9", "incr", (1,), 10, b"10"),
    (b"-1", "incr", (-1,), -2, b"-2"),
]
"""Value before, what is asked, the one answer to it, and the value after."""

REFUSED: list[tuple[bytes | None, Kind, tuple[Any, ...], Any]] = [
    (b"1", "get", (), None),
    (None, "get", (), b""),
    (b"1", "get", (), b"2"),
    (b"a", "append", (b"b",), 1),
    (b"a", "delete", (), 0),
    (b"a", "strlen", (), 0),
    (None, "strlen", (), 1),
    (None, "delete", (), 1),
    (b"1", "cas", (b"1", b"2"), False),
    (None, "cas", (b"", b"2"), True),
    (b"1", "incr", (1,), 3),
    (b"x", "incr", (1,), 1),
    (b"01", "incr", (1,), 2),
    (b"", "incr", (1,), 1),
]


def known(kind: Kind, arguments: tuple[Any, ...], result: Any) -> Operation:
    """An operation with this result."""
    return Operation(1, kind, b"k", arguments, 0.0, 1.0, result)


class StepTests(SynchronousTestCase):
    """One step."""

    def test_allowed(self) -> None:
        """A correct server is not accused."""
        for before, kind, arguments, result, after in ALLOWED:
            self.assertEqual(step(before, known(kind, arguments, result)), (True, after), (before, kind, arguments))

    def test_refused(self) -> None:
        """A wrong answer is not called right."""
        for before, kind, arguments, result in REFUSED:
            self.assertFalse(step(before, known(kind, arguments, result))[0], (before, kind, arguments, result))

    def test_deleted_among_others(self) -> None:
        """A DELETE that counted several keys did not tell whether this one was there."""
        for before in (None, b"1"):
            self.assertEqual(step(before, known("delete", (), None)), (True, None))

    def test_unknown_outcome(self) -> None:
        """Without an answer the effect is the same, whatever the answer would have been."""
        for before, kind, arguments, _, after in ALLOWED:
            self.assertEqual(step(before, Operation(1, kind, b"k", arguments, 0.0)), (True, after))
        self.assertFalse(step(b"x", Operation(1, "incr", b"k", (1,), 0.0))[0])


VALUES = st.none() | st.sampled_from((b"", b"0", b"1", b"12", b"x1"))
SUFFIXES = st.sampled_from((b"", b"1", b"2"))
CALLS: st.SearchStrategy[tuple[Kind, tuple[Any, ...]]] = st.one_of(
    st.tuples(st.just("put"), st.tuples(SUFFIXES)),
    st.tuples(st.just("get"), st.tuples()),
    st.tuples(st.just("append"), st.tuples(SUFFIXES)),
    st.tuples(st.just("delete"), st.tuples()),
    st.tuples(st.just("strlen"), st.tuples()),
    st.tuples(st.just("cas"), st.tuples(VALUES, SUFFIXES)),
    st.tuples(st.just("incr"), st.tuples(st.integers(-1, 1))),
)


def answer(before: bytes | None, kind: Kind, arguments: tuple[Any, ...]) -> Any:
    """The answer of a correct server."""
    some: dict[str, list[Any]] = {"put": [None], "get": [before], "cas": [True, False]}
    every = some.get(kind, [*range(-2, 30)])
    for result in every:
        if step(before, known(kind, arguments, result))[0]:
            return result
    raise LookupError


class AnythingTests(SynchronousTestCase):
    """A value of which nothing is known."""

    @given(VALUES, st.lists(st.tuples(CALLS, st.booleans()), max_size=6))
    def test_every_value_is_one_of_them(
        self, value: bytes | None, calls: list[tuple[tuple[Kind, tuple[Any, ...]], bool]]
    ) -> None:
        """A step that is possible from some value is possible from any: else a correct server is accused."""
        state: State = ANYTHING
        for (kind, arguments), has_answer in calls:
            try:
                operation = known(kind, arguments, answer(value, kind, arguments))
            except LookupError:
                continue  # an incr of what is no integer
            if not has_answer:
                operation = Operation(1, kind, b"k", arguments, 0.0)
            before = value
            _, value = step(value, operation)  # type: ignore[assignment]
            if not has_answer and value == before:
                continue  # the search leaves it out
            allowed, state = step(state, operation)
            self.assertTrue(allowed, (operation, state))
        self.assertTrue(step(state, known("get", (), value))[0])

    def test_it_is_not_everything(self) -> None:
        """Answers that the operations themselves contradict are refused."""
        for calls in (
            (("put", (b"1",), None), ("get", (), b"2")),
            (("get", (), b"1"), ("get", (), b"2")),
            (("append", (b"a",), 3), ("get", (), b"xya1")),
            (("append", (b"a",), 3), ("get", (), b"xyb")),
            (("append", (b"a",), 3), ("append", (b"b",), 5)),
            (("append", (b"a",), 3), ("delete", (), 0)),
            (("append", (b"a",), 1), ("get", (), b"ba")),
            (("delete", (), 1), ("get", (), b"1")),
            (("strlen", (), 2), ("get", (), b"1")),
            (("strlen", (), 0), ("get", (), b"1")),
            (("strlen", (), 1), ("delete", (), 0)),
            (("append", (b"ab",), 5), ("strlen", (), 4)),
            (("strlen", (), 3), ("append", (b"ab",), 4)),
            (("incr", (1,), 5), ("incr", (1,), 7)),
            (("cas", (b"1", b"2"), True), ("get", (), b"1")),
            (("strlen", (), 2), ("cas", (b"1", b"2"), True)),
        ):
            state: State = ANYTHING
            verdicts = []
            for kind, arguments, result in calls:
                allowed, state = step(state, known(kind, arguments, result))  # type: ignore[arg-type]
                verdicts.append(allowed)
            self.assertEqual(verdicts, [True, False], calls)

    def test_nor_is_it_after_an_unknown_outcome(self) -> None:
        """An operation without an answer leaves what it writes."""
        for before, (kind, arguments), after in (
            (ANYTHING, ("append", (b"abc",)), ("append", (b"x",), 2)),
            (ANYTHING, ("incr", (1,)), ("get", (), None)),
            (step(ANYTHING, known("strlen", (), 0))[1], ("incr", (1,)), ("get", (), b"7")),
            (ANYTHING, ("cas", (None, b"1")), ("get", (), b"2")),
        ):
            allowed, state = step(before, Operation(1, kind, b"k", arguments, 0.0))  # type: ignore[arg-type]
            self.assertTrue(allowed, (kind, arguments))
            self.assertFalse(step(state, known(*after))[0], (kind, arguments, after))
