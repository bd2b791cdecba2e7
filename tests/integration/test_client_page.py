"""The programs of docs/client.md and README.md, run as they stand there but for the ports."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import child_environment, shared_cluster
from tests.integration.secured_cluster import CA, at_ports, placed

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = re.compile(r"^```python\n(.*?)^```\n\n```\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAM_SECONDS = 60.0


def shared_ports() -> list[int]:
    return [node.port for node in shared_cluster().nodes]


class PageTests(SynchronousTestCase):
    def setUp(self) -> None:
        """The programs begin with an empty cluster, whatever other tests have left in this one."""
        shared_cluster().nodes[0].call("FLUSHALL")

    def test_what_the_page_prints(self) -> None:
        """Whoever copies a program from the page sees what the page shows."""
        self.run_programs(ROOT / "docs" / "client.md", 5)

    def test_what_the_front_page_prints(self) -> None:
        """So does whoever begins with README."""
        self.run_programs(ROOT / "README.md", 1)

    def run_programs(self, page: Path, count: int) -> None:
        """Run all programs of a page, and compare what they print."""
        programs = PROGRAM.findall(page.read_text(encoding="utf-8"))
        self.assertEqual(len(programs), count)
        for program, output in programs:
            here = placed(program) if CA in program else at_ports(program, shared_ports())
            ended = subprocess.run(
                [sys.executable, "-W", "error", "-c", here],
                capture_output=True,
                text=True,
                timeout=PROGRAM_SECONDS,
                check=False,
                env=child_environment(),
            )
            self.assertEqual((ended.stdout, ended.stderr, ended.returncode), (output, "", 0))
