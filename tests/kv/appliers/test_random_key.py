"""RANDOMKEY finds keys that exist, each of them now and then, and never takes long."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.appliers import random_key as module
from dkv.kv.appliers.random_key import LOOKS_MAX, random_key
from dkv.kv.asks import UNKNOWN, Ask
from dkv.kv.codes import RANDOMKEY
from dkv.kv.keyspace import Keyspace
from dkv.settings import MIB
from tests.turns import FakeTurn


class CountingTurn(FakeTurn):
    """Counts how often pages are read, and their bytes."""

    looks = read = 0

    def scan_page(self, *arguments: Any) -> list[tuple[bytes, bytes]]:
        found = super().scan_page(*arguments)
        self.looks += 1
        self.read += sum(len(key) + len(value) for key, value in found)
        return found


class RandomKeyTests(SynchronousTestCase):
    """A keyspace whose time is 1,000."""

    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        """No keys."""
        self.turn, self.keyspace = CountingTurn(), Keyspace()
        self.keyspace.start(self.turn)
        self.keyspace.begin_slot(self.turn, 1, 1_000)

    def store(self, *names: bytes, db: int = 0, deadline: int = 0, value: bytes = b"v") -> None:
        """Keys."""
        for name in names:
            self.keyspace.store(self.turn, db, name, value, deadline)

    def draw(self, number: int, db: int = 0) -> Any:
        """What RANDOMKEY answers with this number."""
        return random_key(self.keyspace, self.turn, Ask(RANDOMKEY, db, 0, [number]))

    def drawn(self, count: int) -> Counter[Any]:
        """How often each key is found."""
        random = Random(9)
        return Counter(self.draw(random.getrandbits(63)) for _ in range(count))

    @given(st.sets(st.binary(max_size=3), max_size=12))
    def test_each_can_be_found(self, names: set[bytes]) -> None:
        """A key that is never found would never be thrown out by a cache that draws what to throw out."""
        self.begin()
        self.store(*names)
        self.store(b"other", db=1)
        self.assertEqual(set(self.drawn(60 * len(names))) | names, names)
        self.assertEqual(self.draw(7), self.draw(7), "nodes must agree")

    def test_how_often(self) -> None:
        """Keys that are numbered, as most are, are found about equally often."""
        names = {b"user:%04d:name" % number for number in range(100)}
        self.store(*names)
        counts = self.drawn(3_000)
        self.assertEqual(set(counts), names)
        self.assertLess(max(counts.values()), 5 * min(counts.values()))

    def test_none(self) -> None:
        """No key, or none any more that is alive: nil."""
        self.assertIsNone(self.draw(1))
        self.store(b"k", deadline=1_500)
        self.assertEqual(self.draw(1), b"k")
        self.keyspace.begin_slot(self.turn, 2, 2_000)
        self.assertIsNone(self.draw(1))

    def test_dead_ones_are_passed(self) -> None:
        """Where all keys have expired around the one that is drawn, another one is found, in either direction."""
        self.store(*(b"b%02d" % number for number in range(50)), deadline=1_500)
        self.keyspace.begin_slot(self.turn, 2, 2_000)
        for alive in (b"a", b"c"):
            self.store(alive)
            self.assertEqual(set(self.drawn(20)), {alive})
            self.keyspace.erase(self.turn, 0, alive)

    def test_bounded(self) -> None:
        """Whatever keys a client thinks up, and however large the values are, it ends soon, with some key."""
        for names in (
            [bytes(length) for length in range(300)],
            [b"a" * length + b"b" for length in range(300)],
            [b"\xff" * length for length in range(300)],
            [bytes((byte,)) * 60_000 for byte in range(0, 256, 16)],
        ):
            self.begin()
            self.store(*names)
            for number in range(20):
                self.turn.looks = self.turn.read = 0
                self.assertIn(self.draw(number), names)
                self.assertLess(self.turn.looks, LOOKS_MAX + 300)
        self.patch(module, "READ_BYTES_MAX", MIB)
        self.begin()
        self.store(*(b"%03d" % number for number in range(100)), value=bytes(MIB // 2))
        for number in range(20):
            self.turn.read = 0
            self.assertIsNotNone(self.draw(number))
            self.assertLess(self.turn.read, 20 * MIB)

    def test_of_another_shape(self) -> None:
        """Anything may stand in the log."""
        for arguments in ([], [b"1"], [1, 2], [None]):
            self.assertIs(random_key(self.keyspace, self.turn, Ask(RANDOMKEY, 0, 0, arguments)), UNKNOWN)
        self.store(b"k")
        for number in (-1, 10**6_000):
            self.assertEqual(self.draw(number), b"k")
