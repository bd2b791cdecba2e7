"""The sum of a state: equal for equal states, and for no others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import APPLIED_KEYS, APPLIED_THROUGH, DIGEST, SUMMED
from dkv.state_sum import StateSum, pair_digest

KEYS = st.binary(max_size=4).map(lambda key: b"S\0" + key)
STATES = st.dictionaries(KEYS, st.binary(max_size=4), max_size=6)


def sum_of(*pairs: tuple[bytes, bytes]) -> StateSum:
    """The sum of these pairs."""
    total = StateSum()
    total.add(pairs)
    return total


class StateSumTests(SynchronousTestCase):
    @given(STATES, STATES, st.randoms(use_true_random=False))
    def test_equal_for_equal_states(self, one: dict[bytes, bytes], other: dict[bytes, bytes], random: object) -> None:
        """Nodes read their states in pieces of any size; a state that differs in one byte must not look equal."""
        forward, backward, second = StateSum(), StateSum(), StateSum()
        forward.add(sorted(one.items()))
        for pair in sorted(one.items(), reverse=True):
            backward.add([pair])
        second.add(other.items())
        self.assertEqual(forward.digest, backward.digest)
        self.assertEqual(forward.digest == second.digest, one == other)

    def test_where_the_key_ends(self) -> None:
        """A byte that moved from the key into the value is a difference."""
        self.assertNotEqual(pair_digest(b"Sab", b"c"), pair_digest(b"Sa", b"bc"))
        self.assertNotEqual(pair_digest(b"S" + b"a" * 10, b"b"), pair_digest(b"S", b"a" * 10 + b"b"))

    def test_swapped_values(self) -> None:
        """Values that changed places are a difference, though all of them are there."""
        self.assertNotEqual(sum_of((b"Sa", b"1"), (b"Sb", b"2")).digest, sum_of((b"Sa", b"2"), (b"Sb", b"1")).digest)

    def test_what_counts(self) -> None:
        """Marks say where in the log the state belongs, which nodes agree on before they compare; the rest counts."""
        self.assertEqual(APPLIED_KEYS - SUMMED, {APPLIED_THROUGH, DIGEST})
        counting = ((b"B1", b"22"), (b"M", b"55"), (b"S\0a", b"333"), (b"S\0b", b""), (b"T", b"4"))
        total = sum_of((b"A", b"7"), (b"D", b"d"), *counting)
        self.assertEqual((total.count, total.values, total.size), (5, 2, 18))
        self.assertEqual(total.digest, sum_of(*counting).digest)
        self.assertEqual(sum_of().digest, bytes(16))
