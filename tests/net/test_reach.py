"""What is said of a peer that is reached, or is not."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.reach import LOST, Reach


class ReachTests(SynchronousTestCase):
    """``Reach``."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.lines: list[str] = []
        self.reach = Reach(2, "tcp:host=db2:port=5101", self.clock, self)

    def warning(self, event: str, **fields: Any) -> None:
        self.assertEqual((event, fields["peer"], fields["address"]), ("peer_unreachable", 2, "tcp:host=db2:port=5101"))
        self.lines.append(fields["reason"])

    info = warning

    def state(self) -> tuple[Any, ...]:
        return tuple(self.reach.status().values())

    def test_logged_once_for_each_reason(self) -> None:
        """A member that is down for a day takes a line of the log, not one each second."""
        for _ in range(10):
            self.reach.failed("connection refused")
            self.reach.failed("no route to its host")
        self.assertEqual(self.lines, ["connection refused", "no route to its host"])
        self.reach.reached()
        self.reach.failed("connection refused")
        self.assertEqual(self.lines[2:], ["connection refused"])

    def test_bounded(self) -> None:
        """Reasons that never repeat take no memory for ever."""
        for number in range(1000):
            self.reach.failed(str(number))
        self.assertLess(len(self.reach._logged), 100)

    def test_status(self) -> None:
        """Since when it is reached, or what is wrong and for how long it has been that."""
        self.assertEqual(self.state(), (None, None, None))
        self.reach.failed("connection refused")
        self.clock.advance(3)
        self.reach.failed("connection refused")
        self.assertEqual(self.state(), (None, "connection refused", 3.0))
        self.reach.reached()
        self.clock.advance(5)
        self.assertEqual(self.state(), (5.0, None, None))
        self.reach.lost(LOST)
        self.clock.advance(1)
        self.assertEqual(self.state(), (None, LOST, 1.0))

    def test_a_refusal_is_not_covered_up(self) -> None:
        """A peer that refuses this node also ends the connection, which is the lesser news."""
        self.reach.lost("node 2 belongs to cluster 'b'")
        self.clock.advance(1)
        self.reach.lost(LOST)
        self.assertEqual(self.state(), (None, "node 2 belongs to cluster 'b'", 1.0))
        self.assertEqual(self.lines, [], "the refusal itself is in the log")
