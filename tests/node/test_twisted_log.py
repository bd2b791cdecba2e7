"""The log of a node in a program of somebody else's."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from dkv.node.twisted_log import TwistedLog


class TwistedLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[Any] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.log = TwistedLog(2, "elector")

    def test_a_line(self) -> None:
        """The program's log shows which node says what, and its observers get at each field."""
        self.log.info("leader_elected", leader=1, reason="it asked {first}", level="odd", format="{x}", empty="")
        (event,) = self.events
        self.assertEqual((event["log_namespace"], event["log_level"]), ("dkv.elector", LogLevel.info))
        names = {name: event[name] for name in ("dkv_node", "dkv_actor", "dkv_event")}
        self.assertEqual(names, {"dkv_node": 2, "dkv_actor": "elector", "dkv_event": "leader_elected"})
        self.assertEqual(event["dkv_fields"]["leader"], 1)
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        self.assertEqual(
            text, "node 2: leader_elected leader=1 reason='it asked {first}' level=odd format={x} empty=''"
        )

    def test_levels(self) -> None:
        """What calls for an operator must not be lost among the rest."""
        for level in ("info", "warning", "error", "critical"):
            getattr(self.log, level)("x")
        levels = [event["log_level"] for event in self.events]
        self.assertEqual(levels, [LogLevel.info, LogLevel.warn, LogLevel.error, LogLevel.critical])

    def test_failures(self) -> None:
        """A mistake of ours has its traceback in the program's log; a disk that fails has none to show."""
        try:
            self.fail("here")
        except self.failureException as caught:
            self.log.critical("node_failed", error=str(caught), exc_info=caught)
        self.log.critical("node_failed", error="disk full", exc_info=None)
        first, second = self.events
        self.assertIn("in test_failures", first["log_failure"].getTraceback())
        self.assertEqual((first["dkv_fields"], second["dkv_fields"]), ({"error": "here"}, {"error": "disk full"}))
        self.assertNotIn("log_failure", second)
        self.assertEqual(len(self.flushLoggedErrors(self.failureException)), 1)
