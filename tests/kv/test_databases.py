"""The databases: their spaces, their counts, and what is stored of them."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.codes import DATABASES
from dkv.kv.databases import SPACES, Database, Databases, unpack_databases

NUMBERS = st.integers(0, 2**64 - 1)
ROWS = st.dictionaries(
    st.integers(0, DATABASES - 1),
    st.builds(
        lambda space, keys, mortal, flushed: Database(space, keys, min(keys, mortal), flushed),
        st.integers(0, 255), NUMBERS, NUMBERS, NUMBERS,
    ),
)  # fmt: skip


class DatabaseTests(SynchronousTestCase):
    def test_the_bytes_are_fixed(self) -> None:
        """They are compared between nodes, and a directory that was written with others cannot be read."""
        databases = Databases()
        self.assertEqual(databases.pack(), b"")
        databases.numbered[3] = Database(0x11, 2, 1, 5)
        databases.flushed = {4: 9, 3: 7}
        row = bytes.fromhex("0311" + "0000000000000002" + "0000000000000001" + "0000000000000005")
        left = bytes.fromhex("030000000000000007" + "040000000000000009")
        self.assertEqual(databases.pack(), b"\x01" + row + left)

    @given(ROWS, st.dictionaries(st.integers(0, 255), NUMBERS))
    def test_round_trip(self, rows: dict[int, Database], flushed: dict[int, int]) -> None:
        """What was stored is there after a restart."""
        databases = Databases()
        for number, row in rows.items():
            databases.numbered[number] = row
        databases.flushed = flushed
        packed = databases.pack()
        if packed:
            again = unpack_databases(packed)
            self.assertEqual((again.numbered, again.flushed), (databases.numbered, flushed))

    @given(st.binary(max_size=80))
    def test_other_bytes(self, stored: bytes) -> None:
        """Damage is noticed, and never taken for other databases."""
        try:
            self.assertEqual(unpack_databases(stored).pack(), stored)
        except (ValueError, struct.error):
            pass

    def test_flush(self) -> None:
        """A flushed database gets the lowest space that nobody has; an empty one keeps its own."""
        databases = Databases()
        databases.numbered[0] = Database(0, 5, 2, 0)
        self.assertTrue(databases.flush(range(2), 7))
        self.assertEqual(databases.numbered[0], Database(16, 0, 0, 7))
        self.assertEqual((databases.numbered[1], databases.flushed), (Database(1), {0: 5}))
        self.assertEqual([databases.number_of(space) for space in (16, 1, 0)], [0, 1, None])
        databases.numbered[0].keys = 1
        self.assertTrue(databases.flush(range(1), 8))
        self.assertEqual((databases.numbered[0].space, databases.flushed), (17, {0: 5, 16: 1}))

    def test_a_space_is_free_when_it_is_empty(self) -> None:
        """Given out earlier, it would bring keys back that were flushed."""
        databases = Databases()
        databases.flushed = {0: 2}
        databases.numbered[0] = Database(16, 1)
        databases.erased(0)
        self.assertEqual(databases.flushed, {0: 1})
        databases.erased(0)
        self.assertEqual(databases.flushed, {})
        databases.flush(range(1), 9)
        self.assertEqual(databases.numbered[0].space, 0)

    def test_no_space_is_left(self) -> None:
        """All or none is flushed: a FLUSHALL that stops halfway would be neither."""
        databases = Databases()
        databases.flushed = dict.fromkeys(range(DATABASES, SPACES - 1), 1)
        for number in (3, 5):
            databases.numbered[number].keys = 1
        before = databases.pack()
        self.assertFalse(databases.flush(range(DATABASES), 9))
        self.assertEqual(databases.pack(), before)
        self.assertTrue(databases.flush(range(3, 4), 9))
        self.assertEqual(databases.numbered[3].space, SPACES - 1)
