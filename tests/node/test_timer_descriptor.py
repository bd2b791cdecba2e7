"""The kernel's timer, as a reactor reads it."""

from __future__ import annotations

import os
import select
import time

from twisted.internet.interfaces import IReadDescriptor
from twisted.trial.unittest import SynchronousTestCase

from dkv.node.timer_descriptor import TimerDescriptor


class TimerDescriptorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.expired: list[float] = []
        self.timer = TimerDescriptor(lambda: self.expired.append(time.monotonic()))
        self.addCleanup(self.timer.close)

    def wait(self, seconds: float) -> bool:
        return bool(select.select([self.timer.fileno()], [], [], seconds)[0])

    def test_expires_in_time(self) -> None:
        """A node whose timers expire too early begins elections, and too late it is taken for dead."""
        for delay in (0.0, 0.02, -5.0, 0.001):
            due = time.monotonic() + delay
            self.timer.set(due)
            self.assertTrue(self.wait(10.0))
            self.timer.doRead()
            self.assertGreaterEqual(self.expired[-1], due)
        self.assertFalse(self.wait(0.0), "once")
        self.assertEqual(len(self.expired), 4)

    def test_set_anew(self) -> None:
        """The last word holds, whether it is sooner or later; also in the moment in which it expires."""
        self.timer.set(time.monotonic() + 3600)
        self.timer.set(time.monotonic())
        self.assertTrue(self.wait(10.0))
        self.timer.set(time.monotonic() + 3600)
        self.assertFalse(self.wait(0.0))
        self.timer.doRead()
        self.timer.set(0.0)
        self.assertTrue(self.wait(10.0), "the beginning of time is no way to switch it off")

    def test_close(self) -> None:
        """It takes one descriptor, and gives it back; a child process does not inherit it."""
        self.assertTrue(IReadDescriptor.providedBy(self.timer))
        self.assertFalse(os.get_inheritable(self.timer.fileno()))
        before = len(os.listdir("/proc/self/fd"))
        more = [TimerDescriptor(lambda: None) for _ in range(5)]
        for each in more:
            each.close()
            each.close()
            self.assertEqual(each.fileno(), -1)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
