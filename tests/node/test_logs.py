"""Log lines: what an operator greps and a machine parses."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import structlog
from structlog.testing import capture_logs
from twisted.logger import ILogObserver, Logger, LogPublisher
from twisted.python import log as legacy_log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dkv.node import logs


class Terminal(io.StringIO):
    """A stream that a person reads."""

    def isatty(self) -> bool:
        return True


class FullDisk(io.StringIO):
    """Writes fail while it is full."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


class LogsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        before = structlog.get_config()
        self.addCleanup(lambda: structlog.configure(**before))

    def configure(self, stream: io.StringIO) -> io.StringIO:
        """Log to ``stream`` as node 3."""
        logs.configure(3, stream)
        return stream

    def line(self, stream: io.StringIO) -> dict[str, Any]:
        """The only line of a stream, parsed."""
        text = stream.getvalue()
        self.assertEqual((text.count("\n"), text[-1]), (1, "\n"))
        fields = json.loads(text)
        self.assertEqual(list(fields)[:5], ["timestamp", "level", "node", "actor", "event"])
        assert isinstance(fields, dict)
        return fields


class ConfigureTests(LogsTestCase):
    def test_json_for_machines(self) -> None:
        """A log collector takes one object a line, whatever is in the fields."""
        stream = self.configure(io.StringIO())
        logs.get_logger(3, "acceptor").warning("refused", slot=7, peer=b"\xff", reason="two\nlines")
        fields = self.line(stream)
        self.assertRegex(fields.pop("timestamp"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertEqual(
            fields,
            {"level": "warning", "node": 3, "actor": "acceptor", "event": "refused", "slot": 7, "peer": "b'\\xff'",
             "reason": "two\nlines"},
        )  # fmt: skip

    def test_key_value_for_people(self) -> None:
        """On a terminal a line is read, and still is one line."""
        stream = self.configure(Terminal())
        logs.get_logger(3, "elector").info("elected", leader=1, text="a b\nc", known=True)
        self.assertRegex(
            stream.getvalue(),
            r'^timestamp=\S+Z level=info node=3 actor=elector event=elected leader=1 text="a b\\nc" known=true\n\Z',
        )

    def test_an_exception_is_a_field(self) -> None:
        """A traceback in lines of its own cannot be told from other lines."""
        for stream in (io.StringIO(), Terminal()):
            self.configure(stream)
            try:
                raise ValueError("why")
            except ValueError as error:
                logs.get_logger(3, "service").critical("node_failed", exc_info=error)
            self.assertEqual(stream.getvalue().count("\n"), 1)
            self.assertIn("ValueError: why", stream.getvalue())

    def test_a_log_that_cannot_be_written_stops_nothing(self) -> None:
        """A full disk under the log must not end a node; the loss is told when there is room again."""
        stream = FullDisk()
        self.configure(stream)
        log = logs.get_logger(3, "elector")
        log.info("one")
        log.info("two")
        stream.full = False
        log.info("three")
        self.assertEqual(self.line(stream)["lines_lost"], 2)
        log.info("four")
        self.assertNotIn("lines_lost", stream.getvalue().splitlines()[1])

    def test_tests_can_capture(self) -> None:
        """What a part logs is tested without a stream."""
        self.configure(io.StringIO())
        log = logs.get_logger(2, "mesh")
        with capture_logs() as captured:
            log.info("peer_up", peer=1)
        self.assertEqual(captured, [{"event": "peer_up", "log_level": "info", "node": 2, "actor": "mesh", "peer": 1}])


class OpenStreamTests(LogsTestCase):
    def test_where_twistd_would_log(self) -> None:
        """--logfile is obeyed, and what is in the file already stays."""
        self.assertIs(logs.open_stream(None, daemon=False), sys.stdout)
        self.assertIs(logs.open_stream("-", daemon=False), sys.stdout)
        path = self.mktemp()
        Path(path).write_text("before\n")
        with logs.open_stream(path, daemon=True) as stream:
            stream.write("after\n")
        self.assertEqual(Path(path).read_text(), "before\nafter\n")

    def test_a_daemons_default(self) -> None:
        """A daemon has no stdout: its lines would be lost."""
        directory, here = self.mktemp(), os.getcwd()
        os.mkdir(directory)
        os.chdir(directory)
        self.addCleanup(os.chdir, here)
        logs.open_stream(None, daemon=True).close()
        self.assertEqual(os.listdir(), ["twistd.log"])


class TwistedObserverTests(LogsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.stream = self.configure(io.StringIO())
        self.observer = logs.TwistedObserver()
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
        self.assertIn("test_logs.py", fields["exception"])

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
