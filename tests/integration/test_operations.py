"""The page for operators: whoever types its commands, from the first to the last, sees what the page shows."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.page_commands import OneMachine, Step, shape, steps
from tests.integration.processes import POLL_SECONDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
SECONDS = 15.0
LOOKS = ("dkv health", "dkv status")
CONFIG = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)


class OperationsPageTest(SynchronousTestCase):
    def test_every_command(self) -> None:
        """A cluster that begins with three nodes, through all that the page does with it."""
        directory = Path(tempfile.mkdtemp(prefix="dkv-test-"))
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        machine = OneMachine(directory)
        self.addCleanup(self.end, machine)
        page = PAGE.read_text(encoding="utf-8")
        config = CONFIG.findall(page)[0]  # the first block is the file of this cluster
        (directory / "etc" / "dkv" / "cluster.toml").write_text(machine.here(config), encoding="utf-8")
        commands = list(steps(page))
        self.assertGreater(len(commands), 30)
        for step in commands:
            self.check(machine, step)

    def check(self, machine: OneMachine, step: Step) -> None:
        """A command that only looks may have to look again: an election, or a count of keys, takes its time."""
        deadline = time.monotonic() + (SECONDS if step.command.startswith(LOOKS) else 0)
        while shape(printed := machine.run(step)) != shape(step.output):
            if time.monotonic() > deadline:
                self.assertEqual(shape(printed), shape(step.output), f"{step.command}\nprinted here:\n{printed}")
            time.sleep(POLL_SECONDS)  # between two looks

    def end(self, machine: OneMachine) -> None:
        """No node is left, whatever failed."""
        for pid in machine.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has ended, and left its file


class RuleTests(SynchronousTestCase):
    """What counts as the same output."""

    def test_steps(self) -> None:
        """Prompts of any machine; what stands in other blocks is not run."""
        page = "$ no\n```console\nnode1$ a b\n1\n2\n$ c\n```\n```\n$ no\n```\n```console\n$ d\n```\n"
        self.assertEqual(list(steps(page)), [Step("a b", "1\n2\n"), Step("c", ""), Step("d", "")])

    def test_shape(self) -> None:
        """Figures and widths may differ, words and rows may not."""
        one = "NODE  ROLE      P99     STATE\n   1  leader    1.5 ms  12 KiB\n   2  follower       -  -\n"
        two = "NODE  ROLE    P99    STATE\n  17  leader  -      1.2 GiB\n   2  leader  30 ms  1 B\n"
        self.assertEqual(shape(one), shape(two))
        for wrong in (two.replace("ROLE", "ROLLE"), two + "3\n", two.replace("17", "x")):
            self.assertNotEqual(shape(one), shape(wrong))

    def test_shape_of_changes(self) -> None:
        """A change may be quick, and another voter may lead. Who is a member is no matter of chance."""
        one = "   1  voter    leader  0\n   2  voter    -       0\n   4  standby  -       0\ntaken\ncomplete\n"
        two = one.replace("leader", "-     ").replace("taken\n", "taken\nwaiting: for 2 voters\nwaiting: for 1\n")
        self.assertEqual(shape(one), shape(two))
        for wrong in (one.replace("standby", "voter  "), two.replace("taken\n", ""), two.replace("   1", "\n   1")):
            self.assertNotEqual(shape(one), shape(wrong))
