"""A DELETE of several keys: what it counted must fit what each of its keys held."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations, permutations
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from dkv.sim.history import Operation
from dkv.sim.linearize import check

KEYS = (b"a", b"b", b"c")


def delete(called: float, returned: float | None, *keys: bytes, result: int | None = None) -> Operation:
    """A DELETE of several keys."""
    return Operation(1, "delete", keys[0], keys[1:], called, returned, result)


def put(key: bytes, called: float, returned: float | None) -> Operation:
    """A PUT of one key."""
    return Operation(2, "put", key, (b"1",), called, returned)


def get(key: bytes, called: float, result: bytes | None) -> Operation:
    """A GET of one key, that takes no time."""
    return Operation(3, "get", key, (), called, called, result)


def brute_force(operations: list[Operation]) -> bool:
    """Every subset of those of unknown outcome, in every order, each at one moment for all its keys."""
    known = [each for each in operations if each.returned is not None]
    unknown = [each for each in operations if each.returned is None]
    chosen = (known + list(some) for count in range(len(unknown) + 1) for some in combinations(unknown, count))
    return any(_fits(order) for some in chosen for order in permutations(some))


def _fits(order: tuple[Operation, ...]) -> bool:
    held: dict[bytes, bytes] = {}
    for at, each in enumerate(order):
        if any(later.returned is not None and later.returned < each.called for later in order[at + 1 :]):
            return False
        if each.kind == "put":
            held[each.key] = each.arguments[0]
        elif each.kind == "get" and held.get(each.key) != each.result:
            return False
        elif each.kind == "delete":
            count = sum(held.pop(key, None) is not None for key in each.keys)
            if each.returned is not None and each.result not in (None, count):
                return False
    return True


class CountTests(SynchronousTestCase):
    """A user who deletes a hundred keys is told how many there were."""

    def test_right_and_wrong(self) -> None:
        """All, none, some; and each count but the right one is wrong."""
        puts = [put(b"a", 0, 1), put(b"b", 0, 1)]
        for keys, right in (((b"a", b"b"), 2), ((b"c", b"d"), 0), ((b"a", b"c"), 1), ((b"a", b"b", b"c"), 2)):
            for result in range(len(keys) + 1):
                verdict = check([*puts, delete(2, 3, *keys, result=result)])
                self.assertEqual((verdict.linearizable, verdict.undecided), (result == right, False), (keys, result))

    def test_named_twice(self) -> None:
        """A key that is named twice is there once."""
        self.assertTrue(check([put(b"a", 0, 1), delete(2, 3, b"a", b"a", result=1)]).linearizable)
        self.assertFalse(check([put(b"a", 0, 1), delete(2, 3, b"a", b"a", result=0)]).linearizable)

    def test_not_told(self) -> None:
        """From a DELETE without an answer, or without a count, only its effect is concluded."""
        puts = [put(b"a", 0, 1), put(b"b", 0, 1)]
        for operation in (delete(2, None, b"a", b"b"), delete(2, 3, b"a", b"b")):
            self.assertTrue(check([*puts, operation, get(b"a", 4, None), get(b"b", 4, None)]).linearizable)
        self.assertFalse(check([*puts, delete(2, 3, b"a", b"b"), get(b"b", 4, b"1")]).linearizable)
        self.assertTrue(check([*puts, delete(2, None, b"a", b"b"), get(b"b", 4, b"1")]).linearizable)

    def test_sentence(self) -> None:
        """The report names the request and what it should have been told."""
        puts = [put(b"a", 0, 1), put(b"b", 0, 1), put(b"c", 0, None)]
        verdict = check([*puts, delete(2, 3, b"a", b"b", b"c", result=1)])
        self.assertEqual(
            verdict.proof.sentence,
            'Client 1 deleted the keys "a", "b", "c" and was told that 1 of them existed; it must have been 2 to 3.',
        )

    def test_nobody_is_accused(self) -> None:
        """A history that one order explains is accepted; most of those that have no order are found."""
        random, verdicts = Random(3), Counter[tuple[bool, bool]]()
        for _ in range(2000):
            history = []
            for _ in range(random.randint(2, 5)):
                called = float(random.randint(0, 6))
                returned = called + random.randint(0, 3)
                unknown = random.random() < 0.2
                if random.random() < 0.5:
                    keys = random.sample(KEYS, random.randint(1, 3))
                    result = None if unknown else random.randint(0, len(keys))
                    history.append(delete(called, None if unknown else returned, *keys, result=result))
                elif random.random() < 0.7:
                    history.append(put(random.choice(KEYS), called, None if unknown else returned))
                else:
                    history.append(
                        replace(get(random.choice(KEYS), called, random.choice((None, b"1"))), returned=returned)
                    )
            expected = brute_force(history)
            verdict = check(history)
            self.assertFalse(verdict.undecided)
            self.assertTrue(verdict.linearizable or not expected, history)
            verdicts[expected, verdict.linearizable] += 1
        self.assertGreater(verdicts[True, True], 200, verdicts)
        self.assertGreater(verdicts[False, False], 10 * verdicts[False, True], verdicts)
