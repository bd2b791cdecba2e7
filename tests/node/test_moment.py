"""Something that happens once, and those who wait for it."""

from __future__ import annotations

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.node.moment import Moment


class MomentTests(SynchronousTestCase):
    def test_before_and_after(self) -> None:
        """A program that asks late hears the same as one that asks early, or it would wait for ever."""
        moment: Moment[int] = Moment()
        early = moment.wait()
        self.assertNoResult(early)
        self.assertFalse(moment.has_come)
        moment.come(1)
        moment.come(2)
        self.assertTrue(moment.has_come)
        self.assertEqual((self.successResultOf(early), self.successResultOf(moment.wait())), (1, 1))

    def test_nobody_spoils_it_for_others(self) -> None:
        """What one caller makes of its Deferred, or its mistake there, is not heard by the next one."""
        moment: Moment[int] = Moment()
        first, second = moment.wait(), moment.wait()
        first.addCallback(lambda _: 1 / 0)
        moment.come(7)
        self.failureResultOf(first, ZeroDivisionError)
        self.assertEqual(self.successResultOf(second), 7)

    def test_failure(self) -> None:
        """A program that waits for a start must not wait on when there was none."""
        moment: Moment[int] = Moment()
        early = moment.wait()
        moment.come(Failure(OSError("no")))
        self.failureResultOf(early, OSError)
        self.failureResultOf(moment.wait(), OSError)
