"""``dkv status`` says how far the machines' clocks are from the time that keys live by."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.clock_lines import UNKNOWN, clock_lines, clocks_off
from dkv.cli.status_table import Found, status_lines
from dkv.client.blocking import Endpoint
from dkv.client.survey import Answer

TIME_MS = 1_795_790_949_123


def status(node: int, time_ms: object = None, offsets: object = None) -> dict[str, Any]:
    """The fields of a node's status; only the leader's have a time."""
    return {"node": node, "replicated_time_ms": time_ms, "clock_offset_ms": offsets or {}}


class ClockLineTests(SynchronousTestCase):
    def test_table(self) -> None:
        """The leader's words, wherever it stands in the list."""
        leader = status(2, TIME_MS, {"1": -12, "2": 0, "3": 11_500, "10": 7_200_000})
        self.assertEqual(
            clock_lines([status(1), leader, status(3)]),
            [
                "",
                "NODE         CLOCK",
                "   1      -0.012 s",
                "   2      +0.000 s",
                "   3     +11.500 s",
                "  10  +7,200.000 s",
                "the replicated time is 2026-11-27 14:49:09.123 UTC, as node 2 told",
            ],
        )

    def test_two_that_lead(self) -> None:
        """One that leads no more, and has not heard so, is behind."""
        lines = clock_lines([status(1, TIME_MS + 1, {"1": 1}), status(2, TIME_MS, {"1": 2})])
        self.assertEqual(lines[-1].split(", ")[1], "as node 1 told")

    def test_nobody_knows(self) -> None:
        """That is said, and not left out."""
        answers: list[list[dict[str, Any]]] = [[], [status(1)], [status(1, "soon", [])], [{}]]
        for statuses in answers:
            self.assertEqual(clock_lines(statuses), ["", UNKNOWN])
            self.assertEqual(clocks_off(statuses), [])

    def test_another_time(self) -> None:
        """No time that a node might tell ends the command; nor does another form of the offsets."""
        for time_ms in (0, -1, 2**63 - 1):
            self.assertIn("the replicated time is ", clock_lines([status(1, time_ms, {"x": 1, "2": "far"})])[-1])
        self.assertEqual(clocks_off([status(1, TIME_MS, [7])]), [])

    def test_off(self) -> None:
        """A clock that is far off is named by every status, since deadlines need a majority of right ones."""
        leader = status(2, TIME_MS, {"1": -12_300, "2": 10_000, "3": 7_200_000})
        expected = [
            "the clock of node 1 is 12.3 s behind the replicated time",
            "the clock of node 3 is 7,200.0 s ahead of the replicated time",
        ]
        self.assertEqual(clocks_off([leader]), expected)
        found = Found(Answer(Endpoint("a", 1), True, b"", "", 0.1), leader, "")
        self.assertEqual(status_lines([found])[5:], expected)
        self.assertEqual(status_lines([found], clocks=True)[5:7], ["", "NODE         CLOCK"])
        self.assertEqual(status_lines([found], clocks=True)[-2:], expected)
