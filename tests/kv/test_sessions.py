"""A write with a token happens once, and is answered alike each time: on every node, and after a restart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import TOKEN
from dkv.kv import sessions
from dkv.kv.sessions import BOUNDS, NEW, NOT_KEPT, OLD, OP_MAX, Bounds, Sessions, pack_answer, unpack_answer
from dkv.replies import ABORTED, OK, Error, Simple
from tests.turns import FakeTurn

SINGLE_ANSWERS = st.one_of(
    st.none(), st.integers(), st.binary(max_size=8), st.just(OK), st.builds(Error, st.text(max_size=8)),
    st.builds(Simple, st.text(max_size=8)), st.just(ABORTED),
)  # fmt: skip
ANSWERS = st.recursive(SINGLE_ANSWERS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)


class Table:
    """A table with its turn; each write comes at the next place of the log."""

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.turn = FakeTurn()
        self.bounds = bounds
        self.sessions = Sessions(bounds)
        self.sessions.start(self.turn)
        self.slot = 0

    def place(self) -> tuple[int, int]:
        """The next place."""
        self.slot += 1
        return self.slot, 0

    def write(self, name: bytes, op: int, execute: Callable[[], Any] = lambda: OK) -> Any:
        """What a write answers; ``execute`` is called if it is to be executed."""
        place = self.place()
        answer = self.sessions.find(self.turn, name, op, place)
        if answer is NEW:
            answer = execute()
            self.sessions.remember(self.turn, name, op, answer, place)
        return answer

    def executed(self, name: bytes, op: int) -> bool | None:
        """Whether the write was executed now; None if it is answered IDMPOLD."""
        execute = mock.Mock(return_value=op)
        return None if self.write(name, op, execute) is OLD else bool(execute.called)

    def restart(self) -> None:
        """A new table over what the old one wrote."""
        self.sessions = Sessions(self.bounds)
        self.sessions.start(self.turn)


class Model:
    """The rules of docs/protocol.md in the plainest form: everything in dicts, looked through from end to end."""

    def __init__(self, answers_max: int, bytes_max: int, producers_max: int) -> None:
        self.limits = (answers_max, bytes_max, producers_max)
        self.answers: dict[bytes, dict[int, Any]] = {}
        self.dropped: dict[bytes, int] = {}

    def write(self, name: bytes, op: int, answer: Any) -> Any:
        """What a write answers, if executing it answers ``answer``."""
        answers_max, bytes_max, producers_max = self.limits
        if name not in self.answers and name.startswith(b"#"):
            return OLD
        answers = self.answers.pop(name, {})
        self.answers[name] = answers
        if len(self.answers) > producers_max:
            oldest = next(iter(self.answers))
            del self.answers[oldest]
            self.dropped.pop(oldest, None)
        if op <= self.dropped.get(name, 0):
            return OLD
        if op not in answers:
            answers[op] = answer
            while len(answers) > answers_max or sum(len(pack_answer(each)) for each in answers.values()) > bytes_max:
                self.dropped[name] = min(answers)
                del answers[min(answers)]
            return answer
        return answers[op]


class OnceTests(SynchronousTestCase):
    """What a client that retries may rely on."""

    def setUp(self) -> None:
        self.table = Table()

    def test_repeat(self) -> None:
        """The answer of a repeat is the first answer, whatever executing it again would say."""
        self.assertEqual(self.table.write(b"alice", 7, lambda: 5), 5)
        self.assertEqual([self.table.write(b"alice", 7, lambda: 9) for _ in range(3)], [5, 5, 5])

    def test_b15_out_of_order(self) -> None:
        """Op 2 before op 1 must not make op 1 a repeat: one of two writes in flight would be lost."""
        self.assertEqual(
            [self.table.executed(b"p", op) for op in (2, 1, 2, 1, 9, 3)], [True, True, False, False, True, True]
        )

    def test_b15_each_op_has_its_own_answer(self) -> None:
        """A retried delete that got another op's answer would lie about what it did."""
        for op in (1, 2, 3):
            self.table.write(b"p", op, partial(int, op * 10))
        self.assertEqual([self.table.write(b"p", op) for op in (3, 1, 2)], [30, 10, 20])

    def test_b15_after_a_restart(self) -> None:
        """The table is loaded back: else every retry across a restart is executed again."""
        self.table.write(b"p", 5, lambda: b"five")
        self.table.write(b"p", 3, lambda: Error("ERR no"))
        self.table.restart()
        self.assertEqual([self.table.write(b"p", op) for op in (3, 5)], [Error("ERR no"), b"five"])
        self.assertTrue(self.table.executed(b"p", 4))

    def test_no_scan_where_the_numbers_tell(self) -> None:
        """A producer that counts on, as clients do, costs no look through the state when its oldest answers go."""
        table = Table(replace(BOUNDS, answers=2))
        with mock.patch.object(table.turn, "scan", side_effect=AssertionError("scanned")):
            for op in range(1, 6):
                self.assertTrue(table.executed(b"p", op))
        self.assertEqual([table.write(b"p", op) for op in (3, 4)], [OLD, 4])

    def test_few_lists_are_kept(self) -> None:
        """A producer's op ids are in memory while it drops answers, for the latest producers only: so it is bounded."""
        table = Table(replace(BOUNDS, answers=1))
        with mock.patch.object(sessions, "LOADED_MAX", 2):
            for op in (1, 2, 3):
                for name in (b"a", b"b", b"c"):
                    self.assertTrue(table.executed(name, op))
            self.assertEqual(len(table.sessions._ops), 2)
        self.assertEqual([table.write(name, 3) for name in (b"a", b"b", b"c")], [3, 3, 3])

    def test_producers_do_not_mix(self) -> None:
        """Two clients that count alike are two; also if one's name begins like the other's."""
        names = [b"p", b"pp", b"p\x00", b"p" + (1).to_bytes(8, "big"), b"q"]
        self.assertEqual([self.table.executed(name, 1) for name in names], [True] * 5)
        self.assertEqual([self.table.executed(name, 1) for name in names], [False] * 5)

    def test_issued_name(self) -> None:
        """A producer from IDMP NEW works at once, and is another one each time."""
        one, two = (self.table.sessions.register(self.table.turn, self.table.place()) for _ in range(2))
        self.assertEqual((one, two), (b"#1.0", b"#2.0"))
        self.table.restart()
        self.assertEqual([self.table.executed(name, 1) for name in (one, two, one)], [True, True, False])

    def test_unknown_issued_name(self) -> None:
        """A name that was evicted, or never issued, must not start anew: its writes may have been executed."""
        self.assertIsNone(self.table.executed(b"#17.0", 1))
        self.assertEqual([key for key in self.table.turn.stored if key.startswith(TOKEN)], [])


class AnotherStateTests(SynchronousTestCase):
    """A snapshot is in force: the table is that of another state from one moment to the next."""

    def test_b22_nothing_of_the_old_one_is_left(self) -> None:
        """An op that only the old state knew would be dropped in place of one that the new state has."""
        bounds = Bounds(answers=2)
        table, other = Table(bounds), Table(bounds)
        for each, ops in ((table, (1, 3, 9)), (other, (2, 5, 8, 11))):
            for op in ops:
                each.write(b"p", op)
        table.write(b"gone", 1)
        table.turn.stored = dict(other.turn.stored)
        table.sessions.start(table.turn)
        table.slot = other.slot
        for op in (20, 30):
            self.assertEqual([each.executed(b"p", op) for each in (table, other)], [True, True])
        self.assertEqual(table.turn.stored, other.turn.stored)
        self.assertEqual(table.executed(b"gone", 1), True)


class LimitTests(SynchronousTestCase):
    """What is remembered is bounded, and what is forgotten is never executed again."""

    def setUp(self) -> None:
        self.table = Table()

    def stored(self) -> int:
        """How many keys the table takes."""
        return sum(key.startswith(TOKEN) for key in self.table.turn.stored)

    def test_answers_of_one_producer(self) -> None:
        """The 1,024 highest ops are remembered, whatever their order; lower ones answer IDMPOLD for ever."""
        for op in [*range(2, 1_026), 1]:
            self.assertTrue(self.table.executed(b"p", op), op)
        self.assertEqual(self.stored(), 1_024 + 1)
        self.assertIsNone(self.table.executed(b"p", 1))
        self.assertEqual([self.table.executed(b"p", op) for op in (2, 1_025)], [False, False])
        self.assertTrue(self.table.executed(b"p", 10_000))
        self.assertIsNone(self.table.executed(b"p", 2))
        self.assertTrue(self.table.executed(b"p", 5_000))
        self.table.restart()
        self.assertIsNone(self.table.executed(b"p", 3))
        self.assertEqual([self.table.executed(b"p", op) for op in (4, 5_000)], [False, False])
        self.assertTrue(self.table.executed(b"p", 20_000))
        self.assertIsNone(self.table.executed(b"p", 4))

    def test_bytes_of_one_producer(self) -> None:
        """At most 1 MiB of answers: the lowest go first. In place of one that is larger by itself, an error is kept."""
        value = b"v" * 400_000
        for op in (1, 2, 3):
            self.table.write(b"p", op, lambda: value)
        self.assertIsNone(self.table.executed(b"p", 1))
        self.assertEqual([self.table.write(b"p", op) for op in (2, 3)], [value, value])
        self.table.write(b"p", 4, lambda: b"v" * (1 << 20))
        self.assertEqual([self.table.write(b"p", op) for op in (2, 3, 4)], [value, value, NOT_KEPT])
        self.assertEqual(self.stored(), 4)

    def test_producers(self) -> None:
        """The least recently used producer is evicted with all it has; a repeat counts as a use."""
        self.table = Table(Bounds(producers=3))
        for name in (b"a", b"b", b"c"):
            self.table.executed(name, 1)
            self.table.executed(name, 2)
        self.assertFalse(self.table.executed(b"a", 1))
        self.table.restart()
        self.table.executed(b"d", 1)
        self.assertEqual(self.stored(), 3 + 2 + 2 + 1)
        self.assertEqual([self.table.executed(name, 1) for name in (b"a", b"c", b"d")], [False] * 3)
        self.assertTrue(self.table.executed(b"b", 1))

    def test_a_late_op_is_dropped_in_its_turn(self) -> None:
        """The lowest op goes first, also if it came last: the answers of higher ones are still asked for."""
        self.table = Table(Bounds(answers=3))
        for op in (10, 20, 30, 40, 25, 50):
            self.assertTrue(self.table.executed(b"p", op))
        self.assertEqual([self.table.executed(b"p", op) for op in (20, 25, 30, 40, 50)], [None, None, *[False] * 3])

    def test_order_within_a_slot(self) -> None:
        """A node that restarted evicts whom the others evict, though all were used in one slot."""
        self.table = Table(Bounds(producers=3))
        for index, name in enumerate((b"b", b"c", b"a")):
            self.table.sessions.remember(self.table.turn, name, 1, OK, (1, index))
        self.table.restart()
        self.table.slot = 1
        self.assertTrue(self.table.executed(b"d", 1))
        self.assertEqual([self.table.executed(name, 1) for name in (b"a", b"c")], [False, False])

    def test_back_after_eviction(self) -> None:
        """A producer that was evicted and comes back begins anew; nothing of its first life is counted again."""
        self.table = Table(Bounds(answers=2, producers=1))
        for last in (6, 9):
            for op in range(1, last + 1):
                self.assertTrue(self.table.executed(b"p", op))
            self.assertEqual([self.table.executed(b"p", op) for op in (last - 2, last - 1)], [None, False])
            self.assertTrue(self.table.executed(b"q", 1))
        self.assertEqual(self.stored(), 1 + 1)

    def test_the_largest_op(self) -> None:
        """An op id of 63 bits is as good as any."""
        self.assertTrue(self.table.executed(b"p", OP_MAX))
        self.table.restart()
        self.assertEqual([self.table.executed(b"p", op) for op in (OP_MAX, OP_MAX - 1)], [False, True])

    @given(
        st.lists(
            st.tuples(st.sampled_from([b"a", b"b", b"c", b"#1.0", b"#2.0"]), st.integers(1, 9), ANSWERS, st.booleans()),
            max_size=60,
        )
    )
    def test_against_the_rules(self, log: list[tuple[bytes, int, Any, bool]]) -> None:
        """Any writes, in any order, with restarts between, are answered as the rules say."""
        table, model = Table(Bounds(3, 20, 3)), Model(3, 20, 3)
        with mock.patch.object(sessions, "LOADED_MAX", 1):
            name = table.sessions.register(table.turn, table.place())
            model.answers[name] = {}
            for producer, op, answer, restart in log:
                if restart:
                    table.restart()
                self.assertEqual(
                    table.write(producer, op, mock.Mock(return_value=answer)), model.write(producer, op, answer)
                )
            kept = sum(len(answers) for answers in model.answers.values()) + len(model.answers)
            self.assertEqual(sum(key.startswith(TOKEN) for key in table.turn.stored), kept)


class AnswerTests(SynchronousTestCase):
    """Stored answers."""

    @given(ANSWERS)
    def test_round_trip(self, answer: Any) -> None:
        """Whatever a write answered comes back, of the same kind."""
        back = unpack_answer(pack_answer(answer))
        self.assertEqual((type(back), back), (type(answer), answer))

    def test_others(self) -> None:
        """What no write answers, and what nobody stored, is a bug and not an answer."""
        self.assertRaises(AssertionError, pack_answer, 1.5)
        self.assertRaises(ValueError, unpack_answer, b"x")
        self.assertRaises(ValueError, unpack_answer, pack_answer([1])[:-1])
        self.assertRaises(ValueError, unpack_answer, pack_answer([1]) + b"\0")
