"""The header of a stored value: the format of every value on every disk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.stored import HEADER_BYTES, revision_of, string_header, value_of


class StoredTests(SynchronousTestCase):
    def test_the_bytes_are_fixed(self) -> None:
        """They are compared between nodes, and a directory that was written with others cannot be read."""
        self.assertEqual(string_header(0x0102030405060708, 0x090A0B0C), bytes(range(13)))

    @given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=20))
    def test_round_trip(self, slot: int, index: int, value: bytes) -> None:
        """Any value, also one that looks like a header."""
        stored = string_header(slot, index) + value
        self.assertEqual((value_of(stored), revision_of(stored)), (value, (slot, index)))
        self.assertEqual(len(stored) - len(value), HEADER_BYTES)

    def test_no_value(self) -> None:
        """An absent key is not an empty one."""
        self.assertIsNone(value_of(None))
        self.assertEqual(value_of(string_header(1, 0)), b"")
