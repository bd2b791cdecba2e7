"""The header of a stored value: the format of every value on every disk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.stored import DEADLINE_MAX, deadline_of, is_string, revision_of, string_header, unpack_string, value_of


class StoredTests(SynchronousTestCase):
    def test_the_bytes_are_fixed(self) -> None:
        """They are compared between nodes, and a directory that was written with others cannot be read."""
        self.assertEqual(string_header(0x0102030405060708, 0x090A0B0C), bytes(range(13)))
        with_deadline = string_header(0x0102030405060708, 0x090A0B0C, 0x0D0E0F1011121314)
        self.assertEqual(with_deadline, b"\x80" + bytes(range(1, 21)))

    @given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, DEADLINE_MAX), st.binary(max_size=20))
    def test_round_trip(self, slot: int, index: int, deadline: int, value: bytes) -> None:
        """Any value, also one that looks like a header."""
        stored = string_header(slot, index, deadline) + value
        self.assertEqual(unpack_string(stored), (value, deadline, (slot, index)))
        self.assertEqual((value_of(stored), deadline_of(stored), revision_of(stored)), unpack_string(stored))
        self.assertTrue(is_string(stored))

    def test_what_is_no_string(self) -> None:
        """A header that is cut, that nobody writes, or that has no deadline where one belongs, is damage."""
        whole = string_header(1, 2), string_header(1, 2, 3)
        for stored in (b"", b"\1" + bytes(20), *(each[:-1] for each in whole), b"\x80" + bytes(20)):
            self.assertFalse(is_string(stored), stored)

    def test_no_value(self) -> None:
        """An absent key is not an empty one."""
        self.assertIsNone(value_of(None))
        self.assertEqual(value_of(string_header(1, 0)), b"")
