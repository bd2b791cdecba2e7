"""Pages of what is staged cost little, and so do the writes before them."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.host.key_order import KeyOrder, Writes, newest

KEYS = st.binary(min_size=1, max_size=3)
ROUNDS = st.lists(st.dictionaries(KEYS, st.none() | KEYS, max_size=20), max_size=12)


class Counted(bytes):
    """A key that counts how often keys are compared."""

    compared = 0

    def __lt__(self, other: bytes) -> bool:
        Counted.compared += 1
        return super().__lt__(other)


class KeyOrderTests(SynchronousTestCase):
    """The order of keys in a dict that grows."""

    @given(ROUNDS, KEYS, KEYS)
    def test_all_keys_in_order(self, rounds: list[Writes], prefix: bytes, start: bytes) -> None:
        """A key that comes late, comes again, or is erased, stands where its name says."""
        writes: Writes = {}
        order = KeyOrder(writes)
        for each in rounds:
            writes.update(each)
            for wanted in (b"", prefix):
                found = list(newest(order.pairs(wanted, start)))
                expected = sorted((key, value) for key, value in writes.items() if value is not None)
                self.assertEqual(found, [pair for pair in expected if pair[0].startswith(wanted) and pair[0] >= start])

    def test_the_first_source_counts(self) -> None:
        """What is written hides what the disk holds, and what is erased does so, too."""
        above, below = [(b"a", None), (b"b", b"2")], [(b"a", b"1"), (b"b", b"1"), (b"c", b"1")]
        self.assertEqual(list(newest((above, below))), [(b"b", b"2"), (b"c", b"1")])

    def test_a_page_between_writes(self) -> None:
        """A page after every few writes must not sort everything again, nor have hundreds of runs to look through."""
        random, writes, count = Random(5), Writes(), 20_000
        order = KeyOrder(writes)
        Counted.compared = 0
        for number in range(count):
            writes[Counted(random.randbytes(8))] = b""
            if number % 10 == 0:
                self.assertLessEqual(len(order.pairs(b"", b"")), 16)
        self.assertLess(Counted.compared, 40 * count)
