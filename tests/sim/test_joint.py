"""Operations on several keys, deadlines and transactions: against the definition, and histories known to be bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, combinations, permutations
from math import inf
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.sim.fields import ERROR
from dkv.sim.history import Kind, Operation
from dkv.sim.joint import Tolerance
from dkv.sim.linearize import Verdict, check
from tests.sim.joint_case import JointCase, do, op

KEYS = (b"a", b"b")
TOLERANCE = Tolerance(0.0, 2.0)


# --- the definition, once more and slowly ---

Held = dict[bytes, tuple[bytes, float, float]]
"""What each key holds, and between which times it goes."""


def brute_force(operations: list[Operation], tolerance: Tolerance) -> bool:
    """Every subset of those of unknown outcome, in every order, with each key that may be gone there or gone."""
    items = list(enumerate(operations))
    watches = [(number, act[1], act[2], act[3]) for number, each in items for act in each.acts if act[0] == "unchanged"]
    known = [item for item in items if item[1].returned is not None]
    unknown = [item for item in items if item[1].returned is None]
    chosen = (known + list(some) for count in range(len(unknown) + 1) for some in combinations(unknown, count))
    orders = chain.from_iterable(permutations([*some, *watches]) for some in chosen)
    return any(_explains(order, {}, {}, -inf, tolerance) for order in orders)


def _explains(order: tuple[Any, ...], held: Held, seen: dict[Any, int], now: float, tolerance: Tolerance) -> bool:
    """Whether this order is possible, from the time ``now`` on. ``seen``: what a watch saw; the count of changes."""
    if not order:
        return True
    (number, what, *times), *rest = order
    watch = isinstance(what, bytes)
    called, returned = times if watch else (what.called, inf if what.returned is None else what.returned)
    keys = [what] if watch else what.keys
    perhaps = [key for key in keys if key in held and held[key][1] <= returned]
    for gone in chain.from_iterable(combinations(perhaps, count) for count in range(len(perhaps) + 1)):
        then = max(now, called, *(held[key][1] for key in gone))
        left = {key: value for key, value in held.items() if key not in gone}
        late = any(key in left and called > left[key][2] for key in keys)
        if then > returned or late:
            continue
        changes = seen | {key: seen.get(key, 0) + 1 for key in gone}
        if watch:
            after: tuple[Held, dict[Any, int]] | None = (left, changes | {(number, what): changes.get(what, 0)})
        else:
            after = _done(what, number, left, changes, tolerance)
        if after is not None and _explains(tuple(rest), *after, then, tolerance):
            return True
    return False


def _done(
    operation: Operation, number: int, before: Held, seen: dict[Any, int], tolerance: Tolerance
) -> tuple[Held, dict[Any, int]] | None:
    held = dict(before)
    told = operation.returned is not None
    end = inf if operation.returned is None else operation.returned
    results: list[Any] = []
    for kind, key, *arguments in operation.acts:
        there = key in held
        if (kind == "absent" and there) or (kind == "unchanged" and seen.get((number, key)) != seen.get(key, 0)):
            return (before, seen) if not told or operation.result is None else None
        if kind == "get":
            results.append(held[key][0] if there else None)
        elif kind == "put":
            held[key] = (arguments[0], inf, inf)
            results.append(None)
        elif kind == "set":
            value, condition, life, _ = arguments
            results.append(condition is None or not there)
            if results[-1]:
                ends = (operation.called + life - tolerance.early, end + life + tolerance.late)
                held[key] = (value, *ends)
        elif kind == "incr":
            value, *kept = held.get(key, (b"0", inf, inf))
            results.append(int(value) + arguments[0])
            held[key] = (b"%d" % results[-1], kept[0], kept[1])
        elif kind == "delete":
            results.append(sum(held.pop(each, None) is not None for each in (key, *arguments)))
        elif kind == "rename":
            results.append(there)
            if there:
                held[arguments[0]] = held.pop(key)
    if told and operation.result is None and operation.kind == "atomic":
        return (before, seen) if any(act[0] == "unchanged" for act in operation.acts) else None
    if told and tuple(results) != (operation.result if operation.kind == "atomic" else (operation.result,)):
        return None
    changed = {key for key in held.keys() | before.keys() if held.get(key) != before.get(key)}
    return held, seen | {key: seen.get(key, 0) + 1 for key in changed}


MAYBE = st.none() | st.sampled_from((b"1", b"2"))
WATCH = ("unchanged", b"a")
"""The times come later."""
TRANSACTIONS: tuple[tuple[Any, st.SearchStrategy[Any]], ...] = (
    ((("get", b"a"), ("get", b"b")), st.tuples(MAYBE, MAYBE)),
    ((("put", b"a", b"1"), ("put", b"b", b"1")), st.just((None, None))),
    ((("absent", b"a"), ("put", b"a", b"2"), ("put", b"b", b"2")), st.sampled_from((None, (None, None)))),
    ((WATCH, ("put", b"b", b"2")), st.sampled_from((None, (None,)))),
)


@st.composite
def tiny_histories(draw: st.DrawFn) -> list[Operation]:
    """Up to four operations on two keys, with answers that are often plausible."""
    key, value = st.sampled_from(KEYS), st.sampled_from((b"1", b"2"))
    history = []
    for _ in range(draw(st.integers(2, 4))):
        called, duration = draw(st.integers(0, 8)), draw(st.integers(0, 4))
        known = draw(st.integers(0, 4)) > 0
        kind: Kind = draw(st.sampled_from(("set", "get", "get", "incr", "delete", "rename", "atomic", "atomic")))
        arguments: st.SearchStrategy[Any]
        result: st.SearchStrategy[Any]
        drawn: Any
        answer: Any
        arguments, result = {
            "get": (st.just(()), MAYBE),
            "set": (
                st.tuples(value, st.sampled_from((None, "absent")), st.integers(1, 4), st.just(False)),
                st.just(True),
            ),
            "incr": (st.just((1,)), st.integers(1, 3)),
            "delete": (st.just((b"b",)), st.integers(0, 2)),
            "rename": (st.just((b"b", True)), st.booleans()),
            "atomic": (st.none(), st.none()),
        }[kind]
        first = b"a" if kind in ("delete", "rename") else draw(key)
        if kind == "atomic":
            first = b""
            drawn, told = draw(st.sampled_from(TRANSACTIONS))
            watch = ("unchanged", b"a", 0.0, float(called))
            drawn, answer = tuple(watch if act == WATCH else act for act in drawn), draw(told)
        else:
            drawn, answer = draw(arguments), draw(result)
        returned = float(called + duration) if known else None
        history.append(Operation(1, kind, first, drawn, float(called), returned, answer if known else None))
    return history


class JointBruteForceTests(SynchronousTestCase):
    """Against the definition itself."""

    def test_same_verdict(self) -> None:
        """A checker that is wrong on tiny histories is worth nothing on large ones."""
        verdicts: Counter[bool] = Counter()

        def same(history: list[Operation]) -> None:
            # A delete of several keys that nothing else joins is judged key by key, which is less.
            joined = [*history, do(("get", b"a"), ("get", b"b"), at=(99, None))]
            expected = brute_force(history, TOLERANCE)
            verdict = check(joined, tolerance=TOLERANCE)
            self.assertEqual((verdict.linearizable, verdict.undecided), (expected, False))
            verdicts[expected] += 1

        compared = given(tiny_histories())(same)
        settings(max_examples=1500, deadline=None, database=None, suppress_health_check=list(HealthCheck))(compared)()
        self.assertGreater(min(verdicts[True], verdicts[False]), 200, verdicts)


class JointBadTests(JointCase):
    """Histories that no correct server has, and what would make them right."""

    def test_half_an_mset(self) -> None:
        """One key has the new value, and the other has not."""
        write = do(("put", b"a", b"1"), ("put", b"b", b"1"), at=(0, 9), result=(None, None))
        reads = (("get", b"a"), ("get", b"b"))
        self.assert_good(write, do(*reads, at=(1, 2), result=(b"1", b"1")))
        self.assert_bad(write, do(*reads, at=(1, 2), result=(b"1", None)))
        self.assert_bad(write, op("get", "a", at=(1, 2), result=b"1"), op("get", "b", at=(3, 4), result=None))

    def test_torn_transaction(self) -> None:
        """Another write gets in between the acts of one."""
        both = do(("incr", b"a", 1), ("incr", b"a", 1), at=(0, 9), result=(1, 2))
        self.assert_good(both, op("incr", "a", 1, at=(0, 9), result=3))
        torn = do(("incr", b"a", 1), ("incr", b"a", 1), at=(0, 9), result=(1, 3))
        self.assert_bad(torn, op("incr", "a", 1, at=(0, 9), result=2))

    def test_overlooked_change(self) -> None:
        """A WATCH that did not see a change; one that saw too many proves nothing."""
        put, other = op("put", "a", b"1", at=(0, 1)), op("put", "a", b"2", at=(4, 5))
        back = op("put", "a", b"1", at=(6, 7))
        guarded = (("unchanged", b"a", 2.0, 3.0), ("put", b"b", b"1"))
        self.assert_good(put, do(*guarded, at=(8, 9), result=(None,)))
        self.assert_bad(put, other, do(*guarded, at=(8, 9), result=(None,)))
        self.assert_bad(put, other, back, do(*guarded, at=(8, 9), result=(None,)))
        self.assert_good(put, other, do(*guarded, at=(8, 9)), op("get", "b", at=(10, 11), result=None))
        self.assert_good(put, do(*guarded, at=(8, 9)))
        self.assert_bad(put, do(*guarded, at=(8, 9)), op("get", "b", at=(10, 11), result=b"1"))
        expiring = op("set", "a", b"1", None, 4, at=(0, 1), result=True)
        self.assert_bad(expiring, do(*guarded, at=(8, 9), result=(None,)))
        lasting = op("set", "a", b"1", None, 40, at=(0, 1), result=True)
        for kind, arguments, result, changes in (
            ("expire", (None, None), True, True),
            ("expire", (50, None), True, True),
            ("expire", (50, "none"), False, False),
            ("ttl", (), 37, False),
            ("get", (), b"1", False),
        ):
            between = Operation(1, kind, b"a", arguments, 4, 5, result)  # type: ignore[arg-type]  # they are kinds
            judge = self.assert_bad if changes else self.assert_good
            judge(lasting, between, do(*guarded, at=(8, 9), result=(None,)))

    def test_lost_increment(self) -> None:
        """Two counted up and one of them for nothing, beside other keys."""
        both = do(("incr", b"a", 1), ("incr", b"b", 1), at=(0, 3), result=(1, 1))
        self.assert_good(both, op("incr", "a", 1, at=(1, 2), result=2))
        self.assert_bad(both, op("incr", "a", 1, at=(1, 2), result=1))

    def test_msetnx(self) -> None:
        """All or nothing, by what is there."""
        acts = (("absent", b"a"), ("absent", b"b"), ("put", b"a", b"1"), ("put", b"b", b"1"))
        there = op("put", "b", b"0", at=(0, 1))
        self.assert_good(do(*acts, at=(2, 3), result=(None, None)))
        self.assert_bad(do(*acts, at=(2, 3)))
        self.assert_good(there, do(*acts, at=(2, 3)), op("get", "a", at=(4, 5), result=None))
        self.assert_bad(there, do(*acts, at=(2, 3), result=(None, None)))
        self.assert_good(there, do(*acts, at=(2, None)), op("get", "a", at=(4, 5), result=None))
        self.assert_bad(there, do(*acts, at=(2, None)), op("get", "a", at=(4, 5), result=b"1"))

    def test_undecided(self) -> None:
        """What was not searched to the end is not called right."""
        puts = [do(("put", b"a", b"%d" % number), ("get", b"b"), at=(0, None)) for number in range(9)]
        read = do(("get", b"a"), ("get", b"b"), at=(1, 2), result=(b"9", None))
        self.assertEqual(check([*puts, read], 100), Verdict(False, undecided=True, key=b"a"))
        self.assertFalse(check([*puts, read]).undecided)

    def test_error_inside(self) -> None:
        """An act that fails undoes no other."""
        acts = (("put", b"a", b"x"), ("incr", b"a", 1), ("put", b"b", b"1"))
        self.assert_good(do(*acts, at=(0, 1), result=(None, ERROR, None)), op("get", "a", at=(2, 3), result=b"x"))
        self.assert_bad(do(*acts, at=(0, 1), result=(None, 1, None)))
        full = do(("put", b"a", b"x"), ("append", b"a", b"y"), ("get", b"a"), at=(0, 1), result=(None, ERROR, b"x"))
        self.assert_good(full)

    def test_flushed_database(self) -> None:
        """A key that a flush missed; other databases keep theirs."""
        puts = [op("put", key, b"1", at=(0, 1)) for key in ("1/a", "1/b", "2/a")]
        flush = op("flush", "1/", at=(2, 3))
        self.assert_good(*puts, flush, op("exists", "1/a", b"1/b", b"2/a", at=(4, 5), result=1))
        self.assert_bad(*puts, flush, op("get", "1/b", at=(4, 5), result=b"1"))
        self.assert_bad(
            *puts, flush, op("get", "2/a", at=(4, 5), result=None), op("strlen", "2/a", at=(6, 7), result=1)
        )

        both = do(("flush", b"1/"), ("flush", b"2/"), at=(2, 3), result=(None, None))
        self.assert_bad(*puts, both, op("get", "2/a", at=(4, 5), result=b"1"))
        self.assert_good(flush)

    def test_moves_join(self) -> None:
        """What a COPY or RENAME made is judged, though nothing else names both keys."""
        made = op("put", "a", b"1", at=(0, 1))
        for kind in ("copy", "rename"):
            move = Operation(1, kind, b"a", (b"b", False), 2, 3, True)
            self.assert_good(made, move, op("get", "b", at=(4, 5), result=b"1"))
            self.assert_bad(made, move, op("get", "b", at=(4, 5), result=None))

    def test_present(self) -> None:
        """Nothing is done where a key must be there and is not."""
        acts = (("present", b"a"), ("put", b"b", b"1"))
        put = op("put", "a", b"0", at=(0, 1))
        for before, right in (([put], (None,)), ([], None)):
            for result in (None, (None,)):
                done = do(*acts, at=(2, 3), result=result)
                (self.assert_good if result == right else self.assert_bad)(*before, done)

    def test_delete_joins(self) -> None:
        """A count of deleted keys is judged with the deadline of one of them."""
        made = op("set", "a", b"1", None, 10, at=(0, 1), result=True)
        put = op("put", "b", b"1", at=(0, 1))
        for called, count in ((5, 2), (20, 1)):
            self.assert_good(made, put, op("delete", "a", b"b", at=(called, called + 1), result=count))
            self.assert_bad(made, put, op("delete", "a", b"b", at=(called, called + 1), result=3 - count))
        other = op("put", "c", b"1", at=(0, 1))
        chain = (op("delete", "c", b"b", at=(2, 3), result=2), op("delete", "b", b"a", at=(5, 6), result=1))
        self.assert_good(made, put, other, *chain)
        self.assert_bad(made, put, *chain)


def _single_acts() -> Iterator[tuple[bytes | None, Kind, tuple[Any, ...], Any, bytes | None]]:
    """Value before, what is asked, the one answer, and the value after."""
    yield b"1", "set", (b"2", ("equals", b"1"), None, False), True, b"2"
    yield b"1", "set", (b"2", ("equals", b"3"), None, False), False, b"1"
    yield None, "set", (b"2", ("equals", b"1"), None, False), False, None
    yield None, "set", (b"2", ("differs", b"3"), None, False), True, b"2"
    yield b"3", "set", (b"2", ("differs", b"3"), None, False), False, b"3"
    yield None, "set", (b"2", "present", None, True), None, None
    yield b"1", "set", (b"2", None, None, True), b"1", b"2"
    yield b"1.50", "add", (b"0.25",), b"1.75", b"1.75"
    yield None, "add", (b"-3",), b"-3", b"-3"
    yield b"hello", "getrange", (-3, -2), b"ll", b"hello"
    yield b"hello", "getrange", (1, 100), b"ello", b"hello"
    yield b"hello", "getrange", (3, 1), b"", b"hello"
    yield b"hello", "getrange", (-100, -200), b"", b"hello"
    yield b"hello", "getrange", (0, -100), b"h", b"hello"
    yield b"1.00000000000000001", "add", (b"0.5",), b"1.50000000000000001", b"1.50000000000000001"
    yield b"ab", "setrange", (3, b"x"), 4, b"ab\0x"
    yield b"abcd", "setrange", (1, b"x"), 4, b"axcd"
    yield None, "setrange", (5, b""), 0, None
    yield b"ab", "append", (b"c",), 3, b"abc"
    yield b"1", "cas", (b"1", b"2"), True, b"2"
    yield b"9", "incr", (-1,), 8, b"8"
    yield b"ab", "strlen", (), 2, b"ab"
    yield b"ab", "exists", (b"k",), 2, b"ab"
    yield b"1", "copy", (b"l", False), True, b"1"
    yield None, "copy", (b"l", False), False, None
    yield b"1", "rename", (b"l", False), True, None
    yield b"1", "expire", (None, None), False, b"1"


class ActTests(SynchronousTestCase):
    """One act at a time."""

    def test_answers(self) -> None:
        """The one answer of a right server is accepted, and another is not."""
        for before, kind, arguments, result, after in _single_acts():
            put = [] if before is None else [op("put", "k", before, at=(0, 1))]
            act = Operation(1, kind, b"k", arguments, 2, 3, result)
            read = do(("get", b"k"), at=(4, 5), result=(after,))
            self.assertTrue(check([*put, act, read]).linearizable, (before, kind, arguments))
            other: Any = b"no" if isinstance(result, bytes | None) else (not result if isinstance(result, bool) else 77)
            wrong = Operation(1, kind, b"k", arguments, 2, 3, other)
            self.assertFalse(check([*put, wrong, read]).linearizable, (before, kind, arguments))
            again = do(("get", b"k"), at=(4, 5), result=(b"never",))
            self.assertFalse(check([*put, act, again]).linearizable, (before, kind, arguments))

    def test_onto_another_key(self) -> None:
        """COPY and RENAME overwrite a key if they say so, and else not."""
        puts = do(("put", b"k", b"1"), ("put", b"l", b"2"), at=(0, 1), result=(None, None))
        for kind, replaces, values in (
            ("copy", True, (b"1", b"1")),
            ("copy", False, (b"1", b"2")),
            ("rename", True, (None, b"1")),
            ("rename", False, (b"1", b"2")),
        ):
            for told in (False, True):
                move = do((kind, b"k", b"l", replaces), at=(2, 3), result=(told,))
                read = do(("get", b"k"), ("get", b"l"), at=(4, 5), result=values)
                self.assertEqual(check([puts, move, read]).linearizable, told == replaces, (kind, replaces, told))
