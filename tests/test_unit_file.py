"""The systemd unit: systemd itself accepts it, and it starts what this project installs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dkv.node.options import FENCED_STATUS, USAGE_STATUS

UNIT = Path(__file__).resolve().parents[1] / "etc" / "dkvnode@.service"


class UnitFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = UNIT.read_text(encoding="utf-8")

    def verify(self, text: str) -> str:
        """What systemd-analyze has to say about a unit with this text; nothing is praise."""
        if shutil.which("systemd-analyze") is None:
            raise SkipTest("systemd is not installed here")
        path = Path(self.mktemp()) / UNIT.name
        path.parent.mkdir()
        path.write_text(text)
        command = ["systemd-analyze", "verify", "--man=no", str(path.absolute())]
        return subprocess.run(command, capture_output=True, text=True).stderr

    def test_systemd_accepts_it(self) -> None:
        """A directive that systemd ignores protects nothing; the program must exist where it is verified."""
        installed = self.text.replace("/opt/dkv/bin/twistd", "/bin/true")
        self.assertNotEqual(installed, self.text)
        self.assertEqual(self.verify(installed), "")
        self.assertIn("ProtectSytem", self.verify(installed.replace("ProtectSystem", "ProtectSytem")))

    def test_it_waits_for_the_node_to_say_that_it_serves(self) -> None:
        """What starts too early finds nobody; a mistyped config or a fenced directory is not tried for ever."""
        self.assertIn("\nType=notify\n", self.text)
        self.assertIn(f"\nRestartPreventExitStatus={USAGE_STATUS} {FENCED_STATUS}\n", self.text)

    def test_it_runs_the_instance_in_the_foreground(self) -> None:
        """A process that forks away from systemd is lost to it."""
        (command,) = re.findall(r"^ExecStart=(.*)$", self.text, re.MULTILINE)
        self.assertRegex(command, r"/twistd -n --pidfile= dkvnode --config \S+ --node %i --data-dir \S+%i$")
