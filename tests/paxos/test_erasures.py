"""Erasures of compacted records: all of them in the end, and never many in one turn."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import record_key
from dkv.paxos.erasures import Erasures
from tests.turns import FakeTurn


class ErasuresTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.turn = FakeTurn(stored={record_key(slot): b"r" for slot in range(1, 11)})
        self.erasures = Erasures(3)

    def erase(self) -> list[int]:
        """One turn; the slots that are erased in it, of 1 to 100."""
        self.turn.take()
        self.erasures.erase_some(self.turn)
        self.assertEqual(self.turn.persisted, {}, "nothing waits for an erasure")
        return [slot for slot in range(1, 101) if record_key(slot) in self.turn.staged]

    def test_some_in_each_turn(self) -> None:
        """A turn that erases everything would stop the node from answering meanwhile."""
        self.erasures.add(1, 4)
        self.erasures.add(7, 7)
        self.erasures.add(9, 9)
        self.assertTrue(self.erasures)
        self.assertEqual([self.erase(), self.erase(), bool(self.erasures)], [[1, 2, 3], [4, 7, 9], False])
        self.assertEqual(self.erase(), [])

    def test_no_slots(self) -> None:
        """An empty range must not keep the erasures going for ever."""
        self.erasures.add(5, 4)
        self.assertFalse(self.erasures)
        self.erasures.add(1, 2)
        self.erasures.add(3, 2)
        self.erasures.add(3, 3)
        self.assertEqual(self.erase(), [1, 2, 3])
        self.assertFalse(self.erasures)

    def test_what_a_crash_left_behind(self) -> None:
        """Records that nobody will ever erase are disk space that is lost for good."""
        del self.turn.stored[record_key(2)]
        self.erasures.start(self.turn, 6)
        self.assertEqual([self.erase(), self.erase(), self.erase()], [[1, 3, 4], [5, 6], []])
        self.assertIn(record_key(7), self.turn.stored)

    def test_nothing_left_behind(self) -> None:
        """The record just above the mark is the first that is still needed."""
        self.erasures.start(self.turn, 0)
        self.assertFalse(self.erasures)
