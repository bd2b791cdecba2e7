"""Files that are read again when they change: what is broken changes nothing, and is told once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.node.watched_files import LOOK_SECONDS, SOON_SECONDS, WatchedFiles


class Reactor(Clock):
    """A clock whose threads do their work when they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.work: list[Callable[[], None]] = []

    def callFromThread(self, call: Callable[..., Any], *arguments: Any) -> None:
        call(*arguments)

    threads_left = True

    def on_thread(self, work: Callable[[], None]) -> None:
        if not self.threads_left:
            raise RuntimeError("can't start new thread")
        self.work.append(work)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and let threads do what they have."""
        self.advance(seconds)
        while self.work:
            self.work.pop(0)()


class WatchedFilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.one, self.two = Path(self.mktemp()), Path(self.mktemp())
        self.write("1", "1")
        self.reactor = Reactor()
        self.applied: list[str] = []
        self.complaints: list[str] = []
        self.before_load: Callable[[], None] = lambda: None
        self.watched = WatchedFiles(
            self.reactor,
            [str(self.one), str(self.two)],
            self.load,
            self.applied.append,
            self.complaints.append,
            self.reactor.on_thread,
            secrets=[str(self.one)],
        )
        self.assertEqual(self.watched.first(), "1")
        self.watched.start()

    def write(self, one: str, two: str) -> None:
        self.one.write_text(one, encoding="utf-8")
        self.two.write_text(two, encoding="utf-8")

    def load(self) -> str:
        """Both must say the same, as a key must fit its certificate."""
        one, two = (path.read_text(encoding="utf-8") for path in (self.one, self.two))
        self.before_load()
        if one != two:
            raise ValueError(f"{one} and {two}\nand more")
        return one

    def test_the_same_is_not_read_again(self) -> None:
        """A file that was touched, or written with the same words, is no news."""
        self.write("1", "1")
        self.reactor.pass_time(LOOK_SECONDS)
        self.reactor.pass_time(LOOK_SECONDS)
        self.assertEqual((self.applied, self.complaints), ([], []))

    def test_who_may_read_them(self) -> None:
        """The mode counts as it was at the last look, on the thread: whoever asks does not wait for a disk."""
        for mode, readable in ((0o604, [str(self.one)]), (0o600, [])):
            before = self.watched.readable
            self.one.chmod(mode)
            self.assertEqual(self.watched.readable, before)
            self.reactor.pass_time(LOOK_SECONDS)
            self.assertEqual(self.watched.readable, readable)

    def test_what_is_new_is_taken_over_once(self) -> None:
        """Without a restart, and within a few seconds."""
        self.write("2", "2")
        self.reactor.pass_time(LOOK_SECONDS)
        self.reactor.pass_time(LOOK_SECONDS)
        self.assertEqual((self.applied, self.complaints), (["2"], []))

    def test_no_thread(self) -> None:
        """A machine that is at its limit for a while does not keep a node from its new certificates for ever."""
        self.reactor.threads_left = False
        self.write("2", "2")
        self.reactor.pass_time(LOOK_SECONDS)
        self.reactor.threads_left = True
        self.reactor.pass_time(LOOK_SECONDS)
        self.assertEqual(self.applied, ["2"])

    def test_a_look_at_once(self) -> None:
        """Whoever has sent SIGHUP does not wait."""
        self.write("2", "2")
        self.watched.look()
        self.reactor.pass_time(0)
        self.assertEqual(self.applied, ["2"])

    def test_what_is_broken_is_told_once(self) -> None:
        """What is in force stays; the log is not filled; and what is mended is taken over."""
        self.write("2", "3")
        for _ in range(4):
            self.reactor.pass_time(LOOK_SECONDS)
        self.assertEqual((self.applied, self.complaints, self.watched.trouble), ([], ["2 and 3"], "2 and 3"))
        self.write("2", "4")
        for _ in range(4):
            self.reactor.pass_time(LOOK_SECONDS)
        self.assertEqual(self.complaints, ["2 and 3", "2 and 4"])
        self.write("1", "1")
        self.reactor.pass_time(LOOK_SECONDS)
        self.assertEqual((self.applied, self.watched.trouble), (["1"], None))

    def test_two_files_may_come_one_after_the_other(self) -> None:
        """A certificate is there a moment before its key: nobody is woken for that."""
        self.write("2", "1")
        self.reactor.pass_time(LOOK_SECONDS)
        self.write("2", "2")
        self.reactor.pass_time(SOON_SECONDS)
        self.assertEqual((self.applied, self.complaints), (["2"], []))

    def test_a_file_that_is_written_while_it_is_read(self) -> None:
        """Half of one and half of the other may look right: it is read again."""
        self.write("2", "2")
        self.before_load = lambda: self.write("3", "3")
        self.reactor.pass_time(LOOK_SECONDS)
        self.assertEqual(self.applied, [])
        self.before_load = lambda: None
        self.reactor.pass_time(SOON_SECONDS)
        self.assertEqual((self.applied, self.complaints), (["3"], []))

    def test_a_file_that_is_gone(self) -> None:
        """A directory that is mounted late takes nothing away."""
        self.two.unlink()
        for _ in range(2):
            self.reactor.pass_time(LOOK_SECONDS)
        self.assertEqual((self.applied, len(self.complaints)), ([], 1))

    def test_a_look_while_one_is_under_way(self) -> None:
        """What is being read may be the earlier contents: it is looked again."""
        self.watched.look()
        self.watched.look()
        self.assertEqual(len(self.reactor.work), 1)
        self.reactor.pass_time(0)
        self.write("2", "2")
        self.reactor.pass_time(SOON_SECONDS)
        self.assertEqual(self.applied, ["2"])

    def test_nothing_after_the_end(self) -> None:
        """A node that is closed takes nothing over, and leaves no timer behind."""
        self.write("2", "2")
        self.watched.look()
        self.watched.stop()
        self.reactor.pass_time(LOOK_SECONDS)
        self.assertEqual((self.applied, self.reactor.getDelayedCalls()), ([], []))
