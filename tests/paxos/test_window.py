"""The window: what a leader has proposed, and what it may count as chosen."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import Configuration
from dkv.paxos.window import Window
from dkv.records import NOOP, Batch, Value

THREE = Configuration(0, 1, frozenset((1, 2, 3)))
BIG = Value((Batch(1, 1, 1, 1, b"x" * 600),))


class WindowTests(SynchronousTestCase):
    def window(self, base: int = 10, slots: int = 4, size: int = 1000) -> Window:
        """The window of node 1 of three."""
        window = Window(base, 1, slots, size)
        window.allowed_through = 100
        return window

    def test_b2_chosen_needs_a_quorum(self) -> None:
        """A slot that one disk has is acknowledged to nobody; strangers and repeats do not help."""
        window = self.window()
        slot = window.propose(THREE, NOOP, 0.0)
        self.assertEqual(slot, 11)
        for node in (1, 1, 9):
            self.assertFalse(window.accepted(node, slot))
        self.assertTrue(window.accepted(3, slot))
        self.assertEqual(window.chosen_through, 11)

    def test_each_slot_is_counted_by_its_own_set(self) -> None:
        """The majority of a set that decides other slots could be without any vote that the next leader asks for."""
        window = self.window()
        window.propose(THREE, NOOP, 0.0)
        window.propose(Configuration(1, 12, frozenset((3, 4, 5)), frozenset((1, 2))), NOOP, 0.0)
        for node in (1, 2):
            window.accepted(node, 11)
            window.accepted(node, 12)
        self.assertEqual(window.chosen_through, 11, "the others of the second set have not accepted")
        for node in (3, 3):
            self.assertFalse(window.accepted(node, 12))
        self.assertTrue(window.accepted(5, 12))

    def test_chosen_in_order(self) -> None:
        """A mark that passed over an open slot would have followers mark their own values there."""
        window = self.window()
        for _ in range(3):
            window.propose(THREE, NOOP, 0.0)
        for node in (1, 2):
            window.accepted(node, 12)
            window.accepted(node, 13)
        self.assertEqual(window.chosen_through, 10)
        window.accepted(1, 11)
        self.assertTrue(window.accepted(2, 11))
        self.assertEqual(window.chosen_through, 13)

    def test_bounded_in_slots(self) -> None:
        """An unbounded window is an unbounded recovery for the next leader."""
        window = self.window(slots=2)
        window.propose(THREE, NOOP, 0.0)
        window.propose(THREE, NOOP, 0.0)
        self.assertFalse(window.has_room())
        window.accepted(1, 11)
        window.accepted(2, 11)
        self.assertTrue(window.has_room())

    def test_nothing_beyond_what_is_allowed(self) -> None:
        """Who decides a later slot is not known, or a quorum of these has not promised."""
        window = self.window()
        window.allowed_through = 11
        window.propose(THREE, NOOP, 0.0)
        self.assertFalse(window.has_room())
        window.allowed_through = 12
        self.assertTrue(window.has_room())

    def test_bounded_in_bytes(self) -> None:
        """More than a disk writes in a moment looks like a disk that is stuck: leaders would step down in turns."""
        window = self.window()
        window.propose(THREE, BIG, 0.0)
        self.assertTrue(window.has_room())
        window.propose(THREE, BIG, 0.0)
        self.assertFalse(window.has_room())
        for slot in (11, 12):
            window.accepted(1, slot)
            window.accepted(2, slot)
        self.assertTrue(window.has_room())

    def test_what_is_overdue(self) -> None:
        """A lost Accept is sent again, and ever less often: repetition makes no slow link faster."""
        window = self.window()
        window.propose(THREE, NOOP, 0.0)
        times = [now for now in range(1, 100) if window.take_overdue(float(now), 1.0)]
        self.assertEqual(times, [1, 3, 7, 15, 31, 47, 63, 79, 95])

    def test_the_own_disk(self) -> None:
        """A leader whose disk is stuck must step down, though the others agree without it."""
        window = self.window()
        slot = window.propose(THREE, NOOP, 5.0)
        window.accepted(2, slot)
        window.accepted(3, slot)
        self.assertEqual(window.own_disk_silent_seconds(8.0), 3.0)
        later = window.propose(THREE, NOOP, 7.0)
        self.assertEqual(window.own_disk_silent_seconds(9.0), 4.0, "what it owes longest counts")
        window.accepted(1, slot)
        self.assertEqual(window.own_disk_silent_seconds(9.0), 2.0)
        window.accepted(1, later)
        self.assertEqual(window.own_disk_silent_seconds(9.0), 0.0)
