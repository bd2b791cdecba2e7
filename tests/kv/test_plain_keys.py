"""The keys that are known to exist: a bounded memory of what is stored."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.plain_keys import KEY_OVERHEAD_BYTES, PlainKeys


class PlainKeyTests(SynchronousTestCase):
    @given(st.lists(st.tuples(st.booleans(), st.sampled_from([b"a", b"bb", b"ccc", b"dddd"]))))
    def test_bounded(self, steps: list[tuple[bool, bytes]]) -> None:
        """It never has a key that was discarded, and never more than two small keys here."""
        plain, model = PlainKeys(), set[bytes]()
        with patch("dkv.kv.plain_keys.PLAIN_BYTES_MAX", 2 * KEY_OVERHEAD_BYTES + 3):
            for add, key in steps:
                (plain.add if add else plain.discard)(key)
                (model.add if add else model.discard)(key)
                self.assertLessEqual(plain.known, model)
                self.assertLessEqual(len(plain.known), 2)
        plain.clear()
        self.assertEqual(plain.known, set())

    def test_the_bound_counts_what_is_there(self) -> None:
        """A count that drifts would empty the set for good, or let it grow."""
        plain = PlainKeys()
        with patch("dkv.kv.plain_keys.PLAIN_BYTES_MAX", KEY_OVERHEAD_BYTES + 1):
            for _ in range(3):
                plain.add(b"a")
                plain.add(b"a")
                plain.discard(b"b")
                self.assertEqual(plain.known, {b"a"})
                plain.discard(b"a")
            plain.add(b"a")
            plain.clear()
            plain.add(b"b")
            self.assertEqual(plain.known, {b"b"})
