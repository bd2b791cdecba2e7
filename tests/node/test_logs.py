"""Log lines: what an operator greps and a machine parses."""

from __future__ import annotations

import json
from typing import Any

import structlog
from structlog.testing import capture_logs
from twisted.trial.unittest import SynchronousTestCase

from dkv.node import logs


class Lines:
    """Takes lines, as a terminal if it is one."""

    dropped = 0

    def __init__(self, terminal: bool = False) -> None:
        self.terminal = terminal
        self.written: list[str] = []

    def write(self, line: str) -> None:
        self.written.append(line)


class LogsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        before = structlog.get_config()
        self.addCleanup(lambda: structlog.configure(**before))
        self.patch(logs, "_output", None)

    def configure(self, lines: Lines) -> Lines:
        """Log to ``lines`` as node 3."""
        logs.configure(3, lines)
        return lines

    def line(self, lines: Lines) -> dict[str, Any]:
        """The only line, parsed."""
        (text,) = lines.written
        self.assertNotIn("\n", text)
        fields = json.loads(text)
        self.assertEqual(list(fields)[:5], ["timestamp", "level", "node", "actor", "event"])
        assert isinstance(fields, dict)
        return fields


class ConfigureTests(LogsTestCase):
    def test_json_for_machines(self) -> None:
        """A log collector takes one object a line, whatever is in the fields."""
        stream = self.configure(Lines())
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
        stream = self.configure(Lines(terminal=True))
        logs.get_logger(3, "elector").info("elected", leader=1, text="a b\nc", known=True)
        self.assertRegex(
            "\n".join(stream.written),
            r'^timestamp=\S+Z level=info node=3 actor=elector event=elected leader=1 text="a b\\nc" known=true\Z',
        )

    def test_an_exception_is_a_field(self) -> None:
        """A traceback in lines of its own cannot be told from other lines."""
        for stream in (Lines(), Lines(terminal=True)):
            self.configure(stream)
            try:
                raise ValueError("why")
            except ValueError as error:
                logs.get_logger(3, "service").critical("node_failed", exc_info=error)
            (text,) = stream.written
            self.assertNotIn("\n", text)
            self.assertIn("ValueError: why", text)

    def test_a_line_for_who_writes_them(self) -> None:
        """What the writer itself has to say looks like every other line."""
        self.configure(Lines())
        fields = json.loads(logs.line("warning", "lines_dropped", actor="log", count=2))
        self.assertEqual(list(fields), ["timestamp", "level", "node", "actor", "event", "count"])
        self.assertEqual((fields["level"], fields["node"], fields["count"]), ("warning", 3, 2))

    def test_what_was_dropped(self) -> None:
        """The metric is that of the output in use; a process that logs nowhere drops nothing."""
        self.assertEqual(logs.lines_dropped(), 0)
        self.configure(Lines()).dropped = 7
        self.assertEqual(logs.lines_dropped(), 7)

    def test_tests_can_capture(self) -> None:
        """What a part logs is tested without a stream."""
        self.configure(Lines())
        log = logs.get_logger(2, "mesh")
        with capture_logs() as captured:
            log.info("peer_up", peer=1)
        self.assertEqual(captured, [{"event": "peer_up", "log_level": "info", "node": 2, "actor": "mesh", "peer": 1}])
