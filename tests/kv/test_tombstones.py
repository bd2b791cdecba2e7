"""The marks of erased keys."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.tombstones import bucket_key, last_erased, mark_erased
from tests.turns import FakeTurn


class TombstoneTests(SynchronousTestCase):
    def test_the_bytes_are_fixed(self) -> None:
        """They are compared between nodes."""
        self.assertEqual(bucket_key(0, b"k"), b"Z\xa4\x97")
        self.assertEqual(bucket_key(1, b"k"), b"Z\x93\xdb")

    def test_marks(self) -> None:
        """A key has the mark of the last erasure in its bucket, and none before the first."""
        turn = FakeTurn()
        self.assertEqual(last_erased(turn, 0, b"k"), 0)
        mark_erased(turn, 0, b"k", 7)
        mark_erased(turn, 0, b"k", 9)
        self.assertEqual([last_erased(turn, 0, b"k"), last_erased(turn, 1, b"k")], [9, 0])
