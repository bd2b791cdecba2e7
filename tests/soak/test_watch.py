from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from tests.soak.broken import RuleBroken
from tests.soak.cluster import SoakNode
from tests.soak.watch import Watch

NEVER = float("-inf")
ALWAYS = float("inf")


class FakeNode:
    """A node with a log, which may have ended."""

    def __init__(self) -> None:
        self.number = 1
        self.full_until = NEVER
        self.ending: int | None = None
        self.lines: list[dict[str, Any]] = []
        self.real = SimpleNamespace(cluster=SimpleNamespace(tail=lambda node: "last words"))

    def new_log_lines(self) -> list[dict[str, Any]]:
        lines, self.lines = self.lines, []
        return lines

    def kill(self) -> None:
        self.ending = None


class WatchTests(SynchronousTestCase):
    """What a node says and does by itself is held against the faults."""

    def setUp(self) -> None:
        self.node = FakeNode()
        self.watch = Watch([cast(SoakNode, self.node)])

    def broken(self) -> str:
        """The rule that the next look finds broken."""
        broken: RuleBroken = self.assertRaises(RuleBroken, self.watch.look)
        return broken.rule

    def test_events_are_counted(self) -> None:
        """Each line counts once."""
        self.node.lines = [{"event": "paused"}, {"event": "paused"}, {"event": "started"}]
        self.watch.look()
        self.watch.look()
        self.assertEqual(self.watch.events, {"paused": 2, "started": 1})

    def test_a_line_that_no_fault_explains(self) -> None:
        """A fence or an exception is a bug, even if all clients were answered rightly."""
        for event in ("uncaught", "fenced", "digest_differs"):
            self.node.lines = [{"event": event}]
            self.assertEqual(self.broken(), "log")

    def test_a_node_that_ends_by_itself(self) -> None:
        """Supervisors would start it again, and nobody would notice."""
        self.node.ending = 1
        self.assertEqual(self.broken(), "ended")

    def test_a_disk_that_fails_without_being_full(self) -> None:
        """Only a full disk may make a write fail."""
        self.node.lines = [{"event": "node_failed"}]
        self.assertEqual(self.broken(), "log")

    def test_a_full_disk(self) -> None:
        """It ends the node, which counts as down until it is started again."""
        self.node.full_until = ALWAYS
        self.node.ending = 1
        self.node.lines = [{"event": "node_failed"}]
        self.watch.look()
        self.assertEqual((self.watch.ended, self.node.ending), (1, None))
