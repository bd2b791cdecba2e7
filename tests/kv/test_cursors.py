"""A client goes on from where its last page ended, as long as the node remembers."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv import cursors
from dkv.kv.cursors import Cursors


class CursorTests(SynchronousTestCase):
    """The cursors of one node."""

    def setUp(self) -> None:
        self.cursors = Cursors()
        self.random = Random(1)

    def make(self, before: int, begin: bytes, db: int = 0) -> int:
        """What a client gets whose next page begins there."""
        return self.cursors.make(self.random, before, db, begin)

    def test_found_again(self) -> None:
        """A reply may be lost, and the client asks again with the same cursor."""
        first = self.make(0, b"k")
        self.assertEqual([self.cursors.find(first, 0) for _ in range(3)], [b"k"] * 3)
        self.assertEqual(self.cursors.find(0, 0), b"")
        self.assertLess(first, 2**53, "JavaScript has no larger numbers")

    def test_unknown(self) -> None:
        """A cursor of another node, life or database must not begin anywhere: keys would be missed in silence."""
        first = self.make(0, b"k", db=3)
        for number, db in ((first, 4), (first + 1, 3), (-1, 0), (2**64 - 1, 0)):
            self.assertIsNone(self.cursors.find(number, db))
        self.assertEqual(self.cursors.find(first, 3), b"k")

    def test_a_slow_client(self) -> None:
        """One that scans without a rest must not cost another one its cursor: what it has passed goes first."""
        self.patch(cursors, "CURSORS_MAX", 5)
        slow = self.make(0, b"slow")
        fast = 0
        for step in range(100):
            self.assertIsNotNone(self.cursors.find(fast, 0))
            fast = self.make(fast, b"%d" % step)
        self.assertEqual((self.cursors.find(slow, 0), self.cursors.find(fast, 0)), (b"slow", b"99"))

    def test_bounded(self) -> None:
        """Clients that begin and never end take no more memory than this; the oldest ones have to begin anew."""
        self.patch(cursors, "CURSORS_MAX", 5)
        made = [self.make(0, b"%d" % number) for number in range(9)]
        self.assertEqual([self.cursors.find(each, 0) is not None for each in made], [False] * 4 + [True] * 5)

    def test_bounded_in_bytes(self) -> None:
        """Long keys take room as well. The newest cursor is always kept, or nobody could scan long keys."""
        self.patch(cursors, "CURSOR_BYTES_MAX", 100)
        made = [self.make(0, bytes(40)) for _ in range(4)] + [self.make(0, bytes(200))]
        self.assertEqual([self.cursors.find(each, 0) is not None for each in made], [False] * 4 + [True])
        made = [self.make(0, bytes(50)) for _ in range(3)]
        self.assertEqual([self.cursors.find(each, 0) is not None for each in made], [False, True, True])
