"""The process of a node: what it says at its end, and which signals it obeys."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.node import process
from dkv.node.process import Launch, obey_signals, say


class Ended(Exception):
    """Stands for the end of the process."""


class FakeReactor:
    """Calls what was to be called at once; ``startup`` is what it was given to call when it has started."""

    def __init__(self) -> None:
        self.stops = 0
        self.startup: Callable[[], None] | None = None

    def addSystemEventTrigger(self, phase: str, event: str, call: Callable[[], None]) -> None:
        assert (phase, event) == ("after", "startup")
        self.startup = call

    def callFromThread(self, call: Callable[..., None], *arguments: Any) -> None:
        call(*arguments)

    def stop(self) -> None:
        self.stops += 1


class SayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reader, self.writer = os.pipe()
        self.addCleanup(os.close, self.writer)
        self.patch(process, "_STDERR", self.writer)
        self.patch(process, "SAY_SECONDS", 0.01)

    def test_a_line(self) -> None:
        """The reason is read where the start was typed, whatever bytes are in its names."""
        say("dkvnode: \udcff")
        self.assertEqual(os.read(self.reader, 100), b"dkvnode: \\udcff\n")
        os.close(self.reader)

    def test_nobody_takes_it(self) -> None:
        """A process that must end does not wait for whoever reads its stderr, or does not."""
        os.set_blocking(self.writer, False)
        while True:
            try:
                os.write(self.writer, b"x" * 4096)
            except BlockingIOError:
                break
        os.set_blocking(self.writer, True)
        say("dkvnode: why")
        os.close(self.reader)
        say("dkvnode: why")


class LaunchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.said: list[str] = []
        self.patch(process, "say", self.said.append)
        self.reader, self.teller = os.pipe()

        def end(status: int) -> None:
            raise Ended(status)

        self.patch(os, "_exit", end)

    def test_the_end(self) -> None:
        """Whoever waits for the start learns the status, and nobody finds a pidfile of a process that is gone."""
        pidfile = Path(self.mktemp())
        pidfile.write_text("7")
        launch = Launch(lambda: self.said.append("flushed"), str(pidfile), self.teller)
        self.assertEqual(self.assertRaises(Ended, launch.end, 3, "dkvnode: why").args, (3,))
        self.assertEqual(self.said, ["dkvnode: why", "flushed"])
        self.assertFalse(pidfile.exists())
        self.assertEqual(os.read(self.reader, 10), b"\x03")
        os.close(self.reader)
        self.assertRaises(Ended, launch.end, 1, "again")  # nothing is left to remove or to tell

    def test_nobody_waits(self) -> None:
        """The process that was started may have been killed; in the foreground there is none."""
        os.close(self.reader)
        self.assertRaises(Ended, Launch(lambda: None, "", self.teller).end, 1, "dkvnode: why")
        Launch(lambda: None).started()


class SignalTests(SynchronousTestCase):
    def setUp(self) -> None:
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor = FakeReactor()
        self.log: list[str] = []

    def obey(self) -> None:
        obey_signals(self.reactor, lambda: self.log.append("reopened"), self.log.append)

    def test_the_log_is_reopened(self) -> None:
        """From the very start: a replay may take minutes, and logrotate does not ask."""
        self.obey()
        for number in (signal.SIGHUP, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        self.assertEqual(self.log, ["reopened", "reopened"])

    def test_the_first_stops_and_the_second_ends(self) -> None:
        """The second needs no turn of the reactor, nor of Python: the disk may be what the stop waits for."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.log.clear()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.obey()
            self.assertEqual(signal.getsignal(signal.SIGINT), signal.SIG_DFL)  # no traceback of a start
            assert self.reactor.startup is not None
            self.reactor.startup()
            os.kill(os.getpid(), number)
            self.assertEqual(self.log, [number.name])
            self.assertEqual([signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)], [signal.SIG_DFL] * 2)
        self.assertEqual(self.reactor.stops, 2)

    def test_an_interrupt_that_is_ignored(self) -> None:
        """What a shell runs behind itself is not meant by a Ctrl-C."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.obey()
        assert self.reactor.startup is not None
        self.reactor.startup()
        os.kill(os.getpid(), signal.SIGINT)
        self.assertEqual((self.log, self.reactor.stops), ([], 0))
