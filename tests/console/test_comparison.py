"""The state that a node holds for a person who compares nodes."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import COMPARISON, LEARNER, Address
from dkv.console import comparison
from dkv.console.comparison import HOLD_SECONDS, TIMER, HeldState, NotHeld
from dkv.events import Captured, CaptureMissed, CaptureState, TimerFired
from dkv.keys import APPLIED_THROUGH, pack_number
from dkv.kv.stored import string_header
from dkv.state_sum import StateSum, pair_digest
from tests.turns import FakeTurn, FakeView, inject

STATE = {b"B1": b"mark", b"S\0a": string_header(7, 2) + b"value", b"S\0b": string_header(9, 0), b"T": b"token"}


class ComparisonTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 50.0
        self.delivered: list[tuple[str, Address, Any]] = []
        self.comparison = HeldState(1, lambda *letter: self.delivered.append(letter), lambda: self.now)
        self.turn = FakeTurn()
        self.comparison.start(self.turn)

    def give(self, message: Any) -> None:
        """Inject a message of this node: it sends nothing."""
        self.assertEqual(inject(self.comparison, self.turn, Address(1, LEARNER), message), [])

    def captured(self, slot: int) -> FakeView:
        """The state after a slot is on disk."""
        view = FakeView({APPLIED_THROUGH: pack_number(slot), **STATE})
        self.give(Captured(view))
        return view

    def held(self, slot: int = 9) -> FakeView:
        """It holds a state."""
        self.comparison.hold(slot)
        return self.captured(slot)

    def test_held(self) -> None:
        """From the order to the view; an order that comes twice asks the learner once."""
        self.assertEqual(self.comparison.held(), (0, b"none"))
        self.comparison.hold(9)
        self.comparison.hold(9)
        self.assertEqual(self.delivered, [(LEARNER, Address(1, COMPARISON), CaptureState(9))])
        self.assertEqual(self.comparison.held(), (9, b"waiting"))
        self.captured(9)
        self.assertEqual(self.comparison.held(), (9, b"held"))

    def test_missed(self) -> None:
        """The node is past the slot: whoever compares names another one."""
        self.comparison.hold(9)
        self.give(CaptureMissed(8))
        self.assertEqual(self.comparison.held(), (9, b"waiting"))
        self.give(CaptureMissed(9))
        self.assertEqual(self.comparison.held(), (9, b"missed"))
        self.comparison.hold(12)
        self.assertEqual(self.comparison.held(), (12, b"waiting"))

    def test_pages(self) -> None:
        """The pages of a state are all of its pairs once, and each pair has what a person wants to know."""
        self.patch(comparison, "PAGE_BYTES", 12)
        self.held()
        after, seen, sums = b"", [], []
        while True:
            reply: Any = self.comparison.page(9, after)
            page: Any = self.comparison.pairs(9, after)
            last, *numbers, digest = reply
            if last is None:
                self.assertEqual((numbers, page), ([0, 0, 0], []))
                break
            total = StateSum()
            total.add((key, STATE[key]) for key, *_ in page)
            self.assertEqual((numbers, digest), ([total.count, total.values, total.size], total.digest))
            seen += page
            sums.append(numbers)
            after = last
        self.assertGreater(len(sums), 2)
        self.assertEqual(
            seen,
            [
                [b"B1", 4, None, pair_digest(b"B1", b"mark")],
                [b"S\0a", 5, b"7.2", pair_digest(b"S\0a", STATE[b"S\0a"])],
                [b"S\0b", 0, b"9.0", pair_digest(b"S\0b", STATE[b"S\0b"])],
                [b"T", 5, None, pair_digest(b"T", b"token")],
            ],
        )

    def test_a_value_without_header(self) -> None:
        """What is damaged is what a person looks for: it must be shown, too."""
        self.comparison.hold(9)
        self.give(Captured(FakeView({APPLIED_THROUGH: pack_number(9), b"S\0a": b"x"})))
        self.assertEqual(self.comparison.pairs(9, b""), [[b"S\0a", 1, None, pair_digest(b"S\0a", b"x")]])

    def test_one_at_a_time(self) -> None:
        """Somebody else compares: his view must not go away under him."""
        view = self.held()
        self.assertRaises(NotHeld, self.comparison.hold, 12)
        self.assertRaises(NotHeld, self.comparison.page, 12, b"")
        self.comparison.release(12)
        self.assertFalse(view.closed)
        self.comparison.release(9)
        self.assertTrue(view.closed)
        self.assertRaises(NotHeld, self.comparison.pairs, 9, b"")

    def test_nobody_asks_any_more(self) -> None:
        """A view that is forgotten would keep overwritten data on the disk for ever."""
        view = self.held()
        self.now += HOLD_SECONDS - 1
        self.comparison.page(9, b"")
        self.now += 1
        self.give(TimerFired(TIMER))
        self.assertFalse(view.closed)
        self.assertEqual(self.turn.timers[TIMER], self.turn.now + HOLD_SECONDS - 1)
        self.now += HOLD_SECONDS
        self.give(TimerFired(TIMER))
        self.assertTrue(view.closed)
        self.assertEqual(self.comparison.held(), (9, b"none"))

    def test_given_up(self) -> None:
        """The slot was never reached, and the person is gone: the next one need not wait, and a late view is closed."""
        self.comparison.hold(9)
        self.now += HOLD_SECONDS
        self.comparison.hold(12)
        self.assertTrue(self.captured(9).closed)
        self.assertFalse(self.captured(12).closed)
        self.comparison.release(12)
        self.assertTrue(self.captured(12).closed)
