"""A short soak of real processes passes, finds what it must find, and leaves nothing behind (docs/soak.md)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import child_environment, wait_until

SECONDS_MAX = 240


class SoakTests(SynchronousTestCase):
    timeout = 400

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.output = self.directory.with_suffix(".output")

    def soak(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a soak, in a group of processes of its own."""
        environment = child_environment() | {"TMPDIR": str(self.directory)}
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.soak", *words],
                env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.addCleanup(self.end, process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End all of it, if it has not ended."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10.0)

    def said(self) -> str:
        """What it has printed so far."""
        return self.output.read_text()

    def wait_for(self, text: str) -> None:
        """Wait until it has printed this."""
        wait_until(lambda: re.search(text, self.said()), 60.0, lambda: f"{text!r} in {self.said()}")

    def assertNothingLeft(self) -> None:
        """No directory, no process and no mount."""
        self.assertEqual(os.listdir(self.directory), [])
        self.assertEqual(self.nodes(), {})
        self.assertNotIn(str(self.directory), Path("/proc/mounts").read_text())

    def nodes(self) -> dict[int, int]:
        """By number, the process ids of nodes of this soak, as they are outside of it."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended
            if b"dkvnode" in command and any(os.fsencode(self.directory) in word for word in command):
                found[int(command[command.index(b"--node") + 1])] = int(process.name)
        return found

    def test_a_minute(self) -> None:
        """A cluster under every fault at once loses nothing, does nothing twice, and grows in nothing."""
        status = self.soak("--minutes", "1", "--seed", "15").wait(SECONDS_MAX)
        self.assertEqual(status, 0, self.said())
        self.assertRegex(self.said(), r"\d+ histories judged, 0 of them undecided")
        self.assertRegex(self.said(), r"[1-9]\d* changes of members")
        self.assertNothingLeft()

    def test_orders(self) -> None:
        """Where there are no namespaces, nodes are ordered to drop what they write."""
        status = self.soak("--minutes", "0.2", "--seed", "1", "--network", "orders").wait(SECONDS_MAX)
        self.assertEqual(status, 0, self.said())
        self.assertNothingLeft()

    def test_interrupted(self) -> None:
        """Somebody who stops a soak finds the machine as it was."""
        process = self.soak("--minutes", "5")
        self.wait_for("phase 1: ")
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(60.0), 130, self.said())
        self.assertNothingLeft()

    def test_a_rule_that_breaks(self) -> None:
        """A failure is of no use without the rule that broke, and all that is needed to find out why."""
        process = self.soak("--minutes", "5", "--seed", "5")  # whose first faults leave node 1 alone
        self.wait_for("phase 1: ")
        os.kill(self.nodes()[1], signal.SIGTERM)  # which no fault of the soak does
        self.assertEqual(process.wait(60.0), 1, self.said())
        self.assertRegex(self.said(), r"RULE BROKEN ended: node 1 ended by itself, status 0")
        (kept,) = self.directory.iterdir()
        self.assertIn(f"directories, logs and histories are in {kept}", self.said())
        files = {"soak.log", "node1.log", "node1/CURRENT", "phase-1.jsonl"}
        self.assertEqual({name for name in files if not (kept / name).exists()}, set())
