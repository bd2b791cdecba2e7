"""The checker, checked: against every order of tiny histories, and on histories known to be good or bad."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.sim.counterexample import Counterexample
from dkv.sim.history import Kind, Operation
from dkv.sim.linearize import Verdict, check
from dkv.sim.model import ANYTHING, step
from tests.sim.histories import KINDS, brute_force, compare_with_definition, op, tiny_histories

SECONDS_MAX = 30.0


class BruteForceTests(SynchronousTestCase):
    """Against the definition itself."""

    def test_same_verdict(self) -> None:
        """A checker that is wrong on tiny histories is worth nothing on large ones."""
        compare_with_definition(self, tiny_histories(), 1500, 200)

    def test_registers(self) -> None:
        """The same for reads and writes alone, for which the search has shortcuts."""
        verdicts: Counter[bool] = Counter()
        random = Random(7)
        for _ in range(3000):
            history = []
            for client in range(random.randint(3, 6)):
                called = random.randint(0, 8)
                known = random.random() < 0.8
                returned = float(called + random.randint(0, 5)) if known else None
                value = b"%d" % random.randint(1, 3)
                kind = random.choice(("put", "get", "cas"))
                arguments = {"put": (value,), "get": (), "cas": (b"%d" % random.randint(1, 3), value)}[kind]
                result = {"put": None, "get": value, "cas": True}[kind] if known else None
                history.append(Operation(client, kind, b"k", arguments, float(called), returned, result))  # type: ignore[arg-type]
            expected = brute_force(history)
            self.assertEqual(check(history).linearizable, expected, history)
            verdicts[expected] += 1
        self.assertGreater(min(verdicts[True], verdicts[False]), 200, verdicts)

    def test_windows_are_proofs(self) -> None:
        """A reader can check a report by hand: the operations in it have no order, and all of them are needed."""
        random, wrong = Random(5), 0
        for _ in range(400):
            history = _mutated(random, _run(random, 12, clients=3, keys=1, kinds=KINDS))
            verdict = check(history)
            if verdict.window is None:
                continue
            wrong += 1
            shown = list(verdict.window.operations)
            start = ANYTHING if verdict.window.whatever else None
            self.assertFalse(brute_force(shown, start), verdict.window.text)
            self.assertIn(verdict.window.blocked, shown)
            if not verdict.window.others:
                for operation in shown:
                    rest = [each for each in shown if each is not operation]
                    loose = replace(operation, returned=None, result=None)
                    self.assertTrue(brute_force([*rest, loose], start), verdict.window.text)
        self.assertGreater(wrong, 50)


class BadTests(SynchronousTestCase):
    """Histories that no correct server has."""

    def assert_bad(self, *history: Operation, shown: list[int]) -> Counterexample:
        """It is found, whatever surrounds it, and what is shown is what matters and no more."""
        before = [op(9, f"put old{at}", -100.0 + at, -99.5 + at) for at in range(20)]
        for surrounded in (
            list(history),
            [*history, op(8, "put new", 100.0, 101.0), op(8, "get", 102.0, 103.0, b"new")],
        ):
            verdict = check(surrounded)
            self.assertFalse(verdict.linearizable or verdict.undecided)
            self.assertFalse(brute_force(list(history)))
        self.assertFalse(check([*before, *history]).linearizable)
        window = check(history).window
        assert window is not None
        self.assertEqual(list(window.operations), [history[at] for at in shown])
        start = ANYTHING if window.whatever else None
        for operation in window.operations:
            rest = [each for each in window.operations if each is not operation]
            self.assertTrue(brute_force(rest, start), f"{operation} is not needed")
        return window

    def test_stale_read(self) -> None:
        """A read that misses a write which was done before."""
        self.assert_bad(op(1, "put 1", 0, 1), op(1, "put 2", 2, 3), op(2, "get", 4, 5, b"1"), shown=[1, 2])

    def test_lost_update(self) -> None:
        """Two counted up, and one of them for nothing."""
        self.assert_bad(op(1, "incr 1", 0, 3, 1), op(2, "incr 1", 1, 2, 1), shown=[0, 1])

    def test_append_applied_twice(self) -> None:
        """A retry that the server did not recognise."""
        self.assert_bad(op(1, "append a", 0, 1, 1), op(2, "get", 2, 3, b"aa"), shown=[0, 1])

    def test_incr_applied_twice(self) -> None:
        """The same, of a counter."""
        self.assert_bad(op(1, "incr 1", 0, 1, 1), op(2, "get", 2, 3, b"2"), shown=[0, 1])

    def test_unknown_append_applied_twice(self) -> None:
        """A request without an answer happens once at most."""
        history = (op(1, "append a", 0), op(2, "get", 2, 3, b"aa"))
        self.assertEqual(self.assert_bad(*history, shown=[1]).others, 1)

    def test_value_never_written(self) -> None:
        """A read of what nobody wrote."""
        window = self.assert_bad(op(1, "put 1", 0, 5), op(2, "get", 1, 2, b"9"), shown=[1])
        self.assertFalse(window.whatever)
        self.assert_bad(op(1, "put 1", 0, 1), op(2, "get", 2, 3, b"9"), shown=[0, 1])

    def test_back_in_time(self) -> None:
        """A later read sees an earlier value."""
        reads = (op(2, "get", 2, 3, b"2"), op(3, "get", 4, 5, b"1"))
        self.assert_bad(op(1, "put 1", 0, 1), op(1, "put 2", 2, 9), *reads, shown=[2, 3])

    def test_acknowledged_write_lost(self) -> None:
        """A confirmed write is gone."""
        self.assert_bad(op(1, "put 1", 0, 1), op(2, "get", 2, 3, None), shown=[0, 1])
        self.assert_bad(op(1, "put 1", 0, 1), op(2, "delete", 2, 3, 0), shown=[0, 1])

    def test_both_cas_succeed(self) -> None:
        """Two took the same lock."""
        self.assert_bad(op(1, "cas - a", 0, 3, True), op(2, "cas - b", 1, 2, True), shown=[0, 1])

    def test_failed_cas(self) -> None:
        """A cas that failed though the value was the expected one."""
        self.assert_bad(op(1, "put 1", 0, 1), op(2, "cas 1 2", 2, 3, False), shown=[0, 1])

    def test_effect_before_call(self) -> None:
        """A read of what is written only later."""
        self.assert_bad(op(2, "get", 0, 1, b"1"), op(1, "put 1", 2, 3), shown=[0])

    def test_one_key_of_many(self) -> None:
        """The key is named."""
        good = [replace(op(1, "put 1", 0, 1), key=b"%d" % at) for at in range(5)]
        verdict = check([*good, op(1, "put 1", 0, 1), op(1, "get", 2, 3, None)])
        self.assertEqual((verdict.linearizable, verdict.key), (False, b"k"))


class GoodTests(SynchronousTestCase):
    """Histories that look odd, and are right."""

    def assert_good(self, *history: Operation) -> None:
        """It is not called wrong."""
        self.assertEqual(check(history), Verdict(True))
        self.assertTrue(brute_force(list(history)))

    def test_nothing(self) -> None:
        """No history is no violation."""
        self.assertEqual(check([]), Verdict(True))

    def test_open_write(self) -> None:
        """A write may be seen before it is acknowledged, and missed until then."""
        self.assert_good(
            op(1, "put 1", 0, 9), op(2, "get", 1, 2, None), op(2, "get", 3, 4, b"1"), op(2, "get", 5, 6, b"1")
        )

    def test_order_of_calls_does_not_matter(self) -> None:
        """Either of two writes at the same time may be the last."""
        puts = (op(1, "put 1", 0, 5), op(2, "put 2", 1, 4))
        self.assert_good(*puts, op(3, "get", 6, 7, b"1"))
        self.assert_good(*puts, op(3, "get", 6, 7, b"2"))

    def test_unknown_outcome(self) -> None:
        """A write without an answer may happen at once, much later, or never."""
        for value, late in ((b"2", b"2"), (b"1", b"2"), (b"1", b"1")):
            self.assert_good(
                op(1, "put 1", 0, 1), op(1, "put 2", 2), op(2, "get", 3, 4, value), op(2, "get", 50, 51, late)
            )
        self.assert_good(op(1, "incr 1", 0), op(2, "put x", 1, 2), op(2, "get", 3, 4, b"x"))

    def test_unknown_read(self) -> None:
        """A read without an answer says nothing."""
        self.assert_good(op(1, "get", 0), op(2, "put 1", 1, 2))

    def test_same_value_written_again(self) -> None:
        """A write of the value that is there may be needed later: here 1, 2, 1."""
        self.assert_good(
            op(1, "put 1", 0, 1), op(2, "put 1", 2, 9), op(3, "put 2", 3, 4), op(4, "get", 5, 6, b"2"),
            op(4, "get", 10, 11, b"1"),
        )  # fmt: skip

    def test_chain_of_cas(self) -> None:
        """At the same time, but only one order will do."""
        calls = ("cas 3 4", "cas 1 2", "cas - 1", "cas 2 3")
        self.assert_good(*(op(at, call, 0, 9, True) for at, call in enumerate(calls)))

    def test_equal_times(self) -> None:
        """An operation that returns when another is called may come second: a coarse clock proves nothing."""
        self.assert_good(op(1, "put 1", 0, 1), op(2, "get", 1, 2, None))
        self.assert_good(op(2, "get", 0, 1, b"1"), op(1, "put 1", 1, 2))
        self.assert_good(op(1, "put 1", 1, 1), op(2, "get", 1, 1, None), op(3, "get", 1, 1, b"1"))

    def test_keys_are_apart(self) -> None:
        """Other keys' operations explain nothing and disturb nothing."""
        other = replace(op(1, "put 1", 0, 1), key=b"other")
        self.assertTrue(check([other, op(2, "get", 2, 3, None)]).linearizable)


class ReportTests(SynchronousTestCase):
    """The report, as a user reads it."""

    def test_text(self) -> None:
        """The operations by their calls, with times from the first, and what cannot be explained."""
        history = [op(7, "get", 14, 15.25, b"1"), op(1, "put 1", 10, 11), op(12, "put 2", 12.5, 13), op(3, "put 2", 12)]
        window = check(history).window
        assert window is not None
        self.assertEqual(
            window.text.splitlines(),
            [
                "called  returned  client",
                '    +0      +0.5      12  put "2" -> ok',
                '  +1.5     +2.75       7  get -> "1"',
                "No order of these explains what client 7 was told at +2.75, whatever the key held before, "
                "and whether or not 1 other write took effect.",
            ],
        )


def _run(
    random: Random, count: int, clients: int, keys: int, kinds: tuple[Kind, ...], unknown: float = 0.0
) -> list[Operation]:
    """The answers of a correct server to clients that ask again as soon as they were answered."""
    return list(_simulate(random, count, clients, keys, kinds, unknown))


def _simulate(
    random: Random, count: int, clients: int, keys: int, kinds: tuple[Kind, ...], unknown: float
) -> Iterator[Operation]:
    free = [0.0] * clients
    asked = []
    for at in range(count):
        client = min(range(clients), key=free.__getitem__)
        called, duration = free[client], 0.1 + random.random()
        free[client] += duration + 0.01
        asked.append((called + duration * random.random(), client, called, called + duration, at))
    values: dict[bytes, Any] = {}
    for _, client, called, returned, at in sorted(asked):
        key, kind, value = b"%d" % random.randrange(keys), random.choice(kinds), b"%d" % at
        before = values.get(key)
        arguments: tuple[Any, ...] = {
            "put": (value,),
            "append": (value,),
            "cas": (random.choice((before, b"no")), value),
            "incr": (1,),
        }.get(kind, ())
        operation = Operation(client, kind, key, arguments, called)
        allowed, values[key] = step(before, operation)
        if not allowed:
            continue
        after = values[key]
        result = {
            "put": None,
            "get": before,
            "append": len(after or b""),
            "delete": int(before is not None),
            "strlen": len(before or b""),
            "cas": before == arguments[0] if kind == "cas" else None,
            "incr": int(after or b"0") if kind == "incr" else None,
        }[kind]
        yield operation if random.random() < unknown else replace(operation, returned=returned, result=result)


def _mutated(random: Random, history: list[Operation]) -> list[Operation]:
    """The history with another read's value for one of its reads."""
    reads = [at for at, each in enumerate(history) if each.kind == "get"]
    if len(reads) > 1:
        wrong, source = random.sample(reads, 2)
        history[wrong] = replace(history[wrong], result=history[source].result)
    return history


class SizeTests(SynchronousTestCase):
    """Histories as long as real ones."""

    def assert_quick(self, history: list[Operation], linearizable: bool) -> None:
        """A verdict in time."""
        started = time.monotonic()
        verdict = check(history)
        self.assertLess(time.monotonic() - started, SECONDS_MAX)
        self.assertEqual((verdict.linearizable, verdict.undecided), (linearizable, False))

    def test_many_keys(self) -> None:
        """20,000 operations of ten clients on fifty keys, some of them without an answer; and a wrong one."""
        history = _run(Random(1), 20_000, clients=10, keys=50, kinds=KINDS, unknown=0.005)
        self.assert_quick(history, True)
        read = next(
            at for at in range(18_000, 20_000) if history[at].kind == "get" and history[at].returned is not None
        )
        history[read] = replace(history[read], result=b"never")
        self.assert_quick(history, False)

    def test_one_key(self) -> None:
        """All on one key, which no splitting helps; the search must not recurse that deep either."""
        history = _run(Random(2), 20_000, clients=10, keys=1, kinds=("put", "get"))
        self.assert_quick(history, True)
        read = next(at for at in range(18_000, 20_000) if history[at].kind == "get")
        stale = next(each for each in history[9_000:] if each.kind == "get").result
        history[read] = replace(history[read], result=stale)
        self.assert_quick(history, False)

    def test_undecided(self) -> None:
        """A hopeless case ends, and is called neither right nor wrong."""
        writes = [op(at, f"append {at}", 0) for at in range(30)]
        history = [*writes, op(99, "get", 1, 2, b"x"), op(98, "get", 1, 2, b"y")]
        verdict = check(history, steps_max=20_000)
        self.assertEqual((verdict.linearizable, verdict.undecided, verdict.key), (False, True, b"k"))

    def test_undecided_key_hides_no_other(self) -> None:
        """A wrong key is reported even if another one could not be judged."""
        appended = b"".join(b"%d" % at for at in range(12))
        hopeless = [op(at, f"append {at}", 0) for at in range(12)] + [op(99, "get", 1, 2, appended[::-1] + appended)]
        wrong = [replace(op(1, "put 1", at, at + 0.5), key=b"z") for at in range(20)]
        read = replace(op(1, "get", 30, 31, None), key=b"z")
        verdict = check([*hopeless, *wrong, read], steps_max=5_000)
        self.assertEqual((verdict.undecided, verdict.key), (False, b"z"))
