"""What others have to say in a node's process, as lines of its log."""

from __future__ import annotations

import logging
import sys
import threading

from twisted.logger import ILogObserver, Logger, LogPublisher
from twisted.python import log as legacy_log
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from dkv.node import foreign
from tests.node.test_logs import Lines, LogsTestCase


class TwistedObserverTests(LogsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.stream = self.configure(Lines())
        self.observer = foreign.TwistedObserver()
        self.publisher = LogPublisher(self.observer)

    def test_is_an_observer(self) -> None:
        """twistd takes whatever does not say so for an old one and hands it other events."""
        self.assertTrue(verifyObject(ILogObserver, self.observer))

    def test_an_event(self) -> None:
        """A line of Twisted's is told from ours by its actor, and can be traced to its source."""
        Logger("twisted.somewhere", observer=self.publisher).warn("{count} things\n", count=3)
        fields = self.line(self.stream)
        del fields["timestamp"]
        self.assertEqual(
            fields,
            {"level": "warning", "node": 3, "actor": "twisted", "event": "3 things", "source": "twisted.somewhere"},
        )

    def test_a_failure(self) -> None:
        """An error that nobody handled must show where it came from, in one line."""
        try:
            raise KeyError("lost")
        except KeyError:
            Logger("x", observer=self.publisher).failure("it broke")
        fields = self.line(self.stream)
        self.assertEqual((fields["level"], fields["event"]), ("critical", "it broke"))
        self.assertIn("KeyError: 'lost'", fields["exception"])
        self.assertIn("test_foreign.py", fields["exception"])

    def test_a_failure_without_words(self) -> None:
        """Errors logged the old way have no text of their own."""
        publisher = legacy_log.LogPublisher(publishPublisher=self.publisher)
        publisher.msg(isError=1, failure=Failure(OSError(5, "gone")), why=None)
        fields = self.line(self.stream)
        self.assertEqual(fields["level"], "critical")
        self.assertEqual(fields["event"], "Unhandled Error")
        self.assertIn("gone", fields["exception"])

    def test_an_event_that_cannot_be_formatted(self) -> None:
        """A mistake in a library's log call must not be a mistake of the node."""
        Logger("x", observer=self.publisher).info("{absent.field}")
        self.assertIn("absent", self.line(self.stream)["event"])


class TakeOverTests(LogsTestCase):
    """A line in another format breaks whoever parses the log, most of all in a circumstance that nobody tried."""

    def setUp(self) -> None:
        super().setUp()
        self.lines = self.configure(Lines())
        self.ends: list[BaseException] = []
        for module, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
            self.patch(module, name, getattr(module, name))
        root = logging.getLogger()
        self.patch(root, "handlers", [])
        self.patch(root, "level", root.level)
        foreign.take_over(self.ends.append)

    def assertLogged(self, actor: str, level: str, event: str, *words: str) -> None:
        fields = self.line(self.lines)
        self.assertEqual((fields["actor"], fields["level"], fields["event"]), (actor, level, event))
        for word in words:
            self.assertIn(word, fields["exception"])
        self.lines.written.clear()

    def test_uncaught(self) -> None:
        """The last exception of a process is one line with its traceback, and the process is ended with a reason."""
        try:
            raise OSError(28, "No space left on device", "/x/twistd.pid")
        except OSError as error:
            sys.excepthook(OSError, error, error.__traceback__)
            self.assertEqual(self.ends, [error])
        self.assertLogged("python", "critical", "uncaught", "twistd.pid", "test_foreign.py")

    def test_in_a_thread(self) -> None:
        """So is one in a thread, which ends only that thread."""
        thread = threading.Thread(target=lambda: dict[str, int]()["absent"])
        thread.start()
        thread.join()
        self.assertLogged("python", "critical", "uncaught_in_thread", "KeyError: 'absent'")
        self.assertEqual(self.ends, [])

    def test_unraisable(self) -> None:
        """And one that Python can raise nowhere."""

        class Broken:
            def __del__(self) -> None:
                raise ValueError("at its end")

        Broken()  # gone at once
        self.assertLogged("python", "critical", "unraisable", "ValueError: at its end")

    def test_the_standard_librarys_logging(self) -> None:
        """Libraries that know nothing of Twisted log this way."""
        logging.getLogger("some.module").warning("%d things\n", 3)
        fields = self.line(self.lines)
        self.assertEqual((fields["event"], fields["level"], fields["source"]), ("3 things", "warning", "some.module"))
        self.lines.written.clear()
        try:
            raise KeyError("lost")
        except KeyError:
            logging.getLogger("some.module").exception("it broke")
        self.assertLogged("python", "error", "it broke", "KeyError: 'lost'")
        logging.getLogger("some.module").info("chatter")
        self.assertEqual(self.lines.written, [])
