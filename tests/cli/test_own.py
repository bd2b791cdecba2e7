"""Commands that make a file end as interrupted, whatever ends them but a SIGKILL."""

from __future__ import annotations

import os
import signal

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.own import end_as_interrupted


class SignalTests(SynchronousTestCase):
    def setUp(self) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def test_ends(self) -> None:
        """A terminal that is closed would leave a part of a file, which refuses the next export."""
        end_as_interrupted()
        for number in (signal.SIGTERM, signal.SIGHUP):
            with self.assertRaises(KeyboardInterrupt):
                os.kill(os.getpid(), number)

    def test_nohup(self) -> None:
        """What is to go on without a terminal goes on."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        end_as_interrupted()
        os.kill(os.getpid(), signal.SIGHUP)
