"""Slots that are wanted though nobody writes: not too early, not too many, and none if nothing is due."""

from __future__ import annotations

from sys import maxsize

from twisted.trial.unittest import SynchronousTestCase

from dkv.events import Due
from dkv.paxos.due_slots import NOTHING_DUE, PAUSE_SECONDS, DueSlots
from tests.turns import FakeTurn


class DueSlotsTests(SynchronousTestCase):
    """The monotonic clock shows 100 s when it is 1,000 ms."""

    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.slots = DueSlots(NOTHING_DUE)

    def wanted(self, at: int, through: int = 0) -> bool:
        """Whether a slot is wanted now, if the learner says this."""
        self.slots.due = Due(at, through, 0)
        return self.slots.wanted(self.turn, int(self.turn.now * 1000) - 99_000)

    def test_nothing_is_due(self) -> None:
        """A quiet cluster stays quiet: no slot, and no timer."""
        self.assertFalse(self.wanted(maxsize))
        self.assertEqual(self.turn.timers, {})

    def test_later(self) -> None:
        """The timer is set once, and again only for something earlier."""
        self.assertFalse(self.wanted(3_000))
        self.assertEqual(self.turn.timers, {"due": 102.0})
        self.assertFalse(self.wanted(4_000))
        self.assertEqual(self.turn.timers, {"due": 102.0})
        self.assertFalse(self.wanted(2_000))
        self.assertEqual(self.turn.timers, {"due": 101.0})
        self.slots.looked()
        self.assertFalse(self.wanted(5_000))
        self.assertEqual(self.turn.timers, {"due": 104.0})

    def test_now(self) -> None:
        """At its time, exactly: a deadline at the time of a slot has passed."""
        self.assertTrue(self.wanted(1_000))

    def test_one_at_a_time(self) -> None:
        """Until the slot is applied nobody knows what is due then."""
        self.assertTrue(self.wanted(0))
        self.slots.proposed(7, 1_000, self.turn.now)
        self.assertFalse(self.wanted(0, 6))
        self.assertFalse(self.wanted(900, 6))
        self.assertTrue(self.wanted(0, 7))

    def test_another_deadline_while_it_is_under_way(self) -> None:
        """That slot does not pass it, and the learner may have nothing more to say."""
        self.slots.proposed(7, 1_000, self.turn.now)
        self.assertFalse(self.wanted(1_500, 6))
        self.assertEqual(self.turn.timers, {"due": 100.5})

    def test_ten_a_second(self) -> None:
        """Deadlines close to each other share a slot. What is left to be erased does not wait."""
        self.slots.proposed(7, 1_000, self.turn.now)
        self.assertFalse(self.wanted(1_000, 7))
        self.assertEqual(self.turn.timers, {"due": 100.0 + PAUSE_SECONDS})
        self.assertTrue(self.wanted(0, 7))
