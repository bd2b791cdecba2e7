"""A planned call is what Twisted promises of its own: made once, or never."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.host.calls import PlannedCall


class PlannedCallTests(SynchronousTestCase):
    """Whatever holds such a call asks ``active`` before it cancels, and may cancel from within."""

    def setUp(self) -> None:
        self.made: list[int] = []
        self.call = PlannedCall(self.made.append, (7,))

    def test_made_once(self) -> None:
        """A drain that happened twice would be harmless; a deadline that did would answer twice."""
        self.assertTrue(self.call.active())
        self.call.make()
        self.call.make()
        self.assertEqual((self.made, self.call.active()), ([7], False))

    def test_cancelled(self) -> None:
        """A host that has stopped takes no turn afterwards."""
        self.call.cancel()
        self.assertFalse(self.call.active())
        self.call.make()
        self.assertEqual(self.made, [])

    def test_not_active_while_it_is_made(self) -> None:
        """What it does may stop everything, itself included, as with a call of Twisted's."""
        states: list[bool] = []
        call = PlannedCall(lambda: states.append(call.active()), ())
        call.make()
        clock = Clock()
        others = clock.callLater(0, lambda: states.append(bool(others.active())))
        clock.advance(0)
        self.assertEqual(states, [False, False])
