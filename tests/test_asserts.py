"""Without assertions nothing of dkv runs: what they would have stopped would be stored, and answered from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[1]
TWISTD = "import sys; from twisted.scripts.twistd import run; sys.exit(run())"
DKV = "from dkv.cli.main import main; main()"


class AssertsTests(SynchronousTestCase):
    def python(self, code: str, *words: str, flags: tuple[str, ...] = (), optimize: str = "") -> tuple[int, list[str]]:
        """The status of Python with this code, and its lines on stderr."""
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONOPTIMIZE": optimize}
        command = [sys.executable, *flags, "-c", code, *words]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=self.mktemp_directory())
        self.assertEqual(ended.stdout, "")
        return ended.returncode, ended.stderr.splitlines()

    def mktemp_directory(self) -> str:
        """A new directory, empty afterwards too."""
        path: str = self.mktemp()
        os.mkdir(path)
        self.addCleanup(lambda: self.assertEqual(os.listdir(path), []))
        return path

    def test_the_node(self) -> None:
        """One line and status 2, before a config is read; in the foreground and as a daemon, however it was said."""
        for flags, optimize, foreground in ((("-OO",), "", ("-n",)), ((), "1", ())):
            words = (*foreground, "--pidfile=", "dkvnode", "--config", "nowhere", "--node", "1")
            status, lines = self.python(TWISTD, *words, flags=flags, optimize=optimize)
            self.assertEqual((status, len(lines)), (2, 1), lines)
            self.assertRegex(lines[0], r"^dkvnode: Python leaves out assertions")

    def test_the_command(self) -> None:
        """`dkv cluster` would run nodes, `dkv sim` would say "ok" of what it never looked at."""
        for words in (("cluster",), ("sim", "--seed", "1")):
            status, lines = self.python(DKV, *words, flags=("-O",))
            self.assertEqual((status, len(lines)), (2, 1), lines)
            self.assertRegex(lines[0], r"^dkv: Python leaves out assertions")

    def test_the_simulated_cluster(self) -> None:
        """A program's unit tests would pass on a cluster that checks nothing."""
        status, lines = self.python("from dkv.testing import SimulatedCluster; SimulatedCluster()", flags=("-O",))
        self.assertEqual(status, 1)
        self.assertIn("Python leaves out assertions", lines[-1])
