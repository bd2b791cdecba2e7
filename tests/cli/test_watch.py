"""``dkv status --watch``: what a person and a pipe see while looks are repeated."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time

from hypothesis import given
from hypothesis import strategies as st

from dkv.cli import status as status_command
from dkv.cli import status_table, watch
from dkv.cli.status_table import Found, rate, size
from dkv.cli.watch import AS_BEFORE, CLEAR_BELOW, CLEAR_LINE, HOME, frame
from dkv.client.blocking import Endpoint
from dkv.client.survey import Answer
from tests.cli.test_look import LookTestCase, status


class WatchTests(LookTestCase):
    """The user types Ctrl-C after ``looks`` looks."""

    looks = 2

    def setUp(self) -> None:
        super().setUp()
        self.pauses: list[float] = []
        self.patch(watch, "pause", self.pause)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == self.looks:
            raise KeyboardInterrupt

    def at_a_terminal(self, lines: int = 24) -> None:
        for module in ("dkv.cli.table", "dkv.cli.watch"):
            self.patch(sys.modules[module], "on_terminal", lambda: True)
        self.patch(shutil, "get_terminal_size", lambda: os.terminal_size((100, lines)))
        self.patch(os, "environ", os.environ | {"TERM": "xterm", "NO_COLOR": "1"})

    def test_into_a_pipe(self) -> None:
        """One picture after another, each with its time, and no escape sequence; Ctrl-C is no failure."""
        result = self.run_at(["status", "--watch"], a=status(1, applied_ops=5))
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertNotIn("\x1b", result.stdout)
        self.assertEqual(result.stdout.count("NODE  ENDPOINT"), 2)
        titles = [line for line in result.stdout.splitlines() if line.startswith("dkv status, ")]
        self.assertEqual(len(titles), 2)
        for title in titles:
            self.assertRegex(title, r"\Adkv status, \d\d:\d\d:\d\d \(Ctrl-C ends\)\Z")

    def test_on_a_terminal(self) -> None:
        """Each picture takes the place of the one before, and the terminal is left as it was."""
        self.at_a_terminal()
        result = self.run_at(["status", "--watch"], a=status(1))
        _, *pictures = result.stdout.split(HOME)
        self.assertEqual(len(pictures), 2)
        for picture in pictures:
            self.assertIn(f"LEADER  READY{CLEAR_LINE}\n", picture)
            self.assertIn(CLEAR_BELOW, picture)
        self.assertTrue(result.stdout.endswith(AS_BEFORE))
        self.assertEqual(result.exit_code, 0)

    def test_the_terminal_is_left_as_it_was_after_a_failure(self) -> None:
        """A user without a cursor could not go on."""
        self.at_a_terminal()
        self.patch(status_command, "status_lines", lambda *_: 1 // 0)
        result = self.run_at(["status", "--watch"], a=status(1))
        self.assertEqual(result.exit_code, 70)
        self.assertTrue(result.stdout.endswith(AS_BEFORE))

    def test_a_dumb_terminal(self) -> None:
        """A terminal that knows no escape sequences gets none."""
        self.at_a_terminal()
        self.patch(os, "environ", os.environ | {"TERM": "dumb"})
        self.assertNotIn(HOME, self.run_at(["status", "--watch"], a=status(1)).stdout)

    def test_rates(self) -> None:
        """How many writes a second, from the second look on; not for a node that was restarted in between."""
        self.looks = 1
        result = self.run_at(["status", "--watch"], a=status(1, applied_ops=5))
        self.assertRegex(result.stdout, r"COMMIT P99  WRITES/S\n   1[ -]+-\n")

        def look(at: float, boot: int = 1, **fields: object) -> Found:
            return Found(Answer(Endpoint("a", 1), True, b"", "", 0.0), {"boot": boot} | fields, "", at)

        self.assertEqual(rate(look(10, applied_ops=100), look(12, applied_ops=350)), 125)
        self.assertIsNone(rate(look(10, applied_ops=100), look(12, 2, applied_ops=350)))
        self.assertIsNone(rate(look(10), look(12, applied_ops=350)))
        self.assertEqual(rate(look(10, applied_ops=1), look(10, applied_ops=1)), 0)

    def test_a_node_that_goes(self) -> None:
        """A node that is gone does not end a watch: it is what the user wants to see."""
        result = self.run_at(["status", "--watch"], a=None)
        self.assertEqual(result.stdout.count("unreachable"), 2)
        self.assertEqual(result.exit_code, 0)

    def test_json(self) -> None:
        """A line for each endpoint of each look, and nothing else."""
        result = self.run_at(["status", "--watch", "--output", "json"], a=status(1), b=None)
        self.assertEqual([json.loads(line)["endpoint"] for line in result.stdout.splitlines()], ["a:1", "b:1"] * 2)

    def test_pace(self) -> None:
        """Looks begin once a second, however long the nodes took to answer."""
        times = iter((10.0, 10.25, 20.0, 23.0))
        self.patch(time, "monotonic", times.__next__)
        watch.repeat(lambda: None)
        self.assertEqual(self.pauses, [0.75, -2.0])

    def test_height(self) -> None:
        """A picture that is too high would scroll, and leave its lines behind."""
        picture = frame([f"line {number}" for number in range(9)], 6)
        self.assertEqual(picture.count("\n"), 5)
        self.assertIn("... and 5 more lines", picture)
        self.assertNotIn("line 4", picture)
        self.assertNotIn("more lines", frame(["a"] * 5, 6))

    @given(st.integers(0, 2**63))
    def test_sizes(self, count: int) -> None:
        """A size says what it is, within a percent or so, in a few characters."""
        text = size(count)
        assert text is not None
        number, unit = text.split()
        factor = 1024 ** ["B", *status_table.UNITS].index(unit)
        self.assertLessEqual(abs(float(number) * factor - count), max(count * 0.051, 1))
        self.assertLess(float(number), 1024 if factor < 1024**4 else 1e8)
