"""The systemd unit: systemd itself accepts it, and it starts what this project installs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dkv.node.options import FENCED_STATUS, USAGE_STATUS

EXPOSURE_MAX = 2.0
UNIT = Path(__file__).resolve().parents[1] / "etc" / "dkvnode@.service"


class UnitFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = UNIT.read_text(encoding="utf-8")

    def analyze(self, text: str, *words: str) -> subprocess.CompletedProcess[str]:
        """What systemd-analyze has to say about a unit with this text."""
        if shutil.which("systemd-analyze") is None:
            raise SkipTest("systemd is not installed here")
        path = Path(self.mktemp()) / UNIT.name
        path.parent.mkdir()
        path.write_text(text)
        return subprocess.run(["systemd-analyze", *words, str(path.absolute())], capture_output=True, text=True)

    def verify(self, text: str) -> str:
        """What systemd finds wrong; nothing is praise."""
        return self.analyze(text, "verify", "--man=no").stderr

    def exposure(self, text: str) -> float:
        """How exposed the service is: 10 is not protected at all."""
        found = self.analyze(text, "security", "--offline=true", "--no-pager").stdout
        (level,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", found)
        return float(level)

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

    def test_it_is_locked_up(self) -> None:
        """A node that somebody has taken over can do little to its machine."""
        self.assertLessEqual(self.exposure(self.text), EXPOSURE_MAX)
        bare = "".join(line for line in self.text.splitlines(True) if not line.startswith(("Protect", "Private")))
        self.assertGreater(self.exposure(bare), EXPOSURE_MAX)

    def test_it_reads_certificates_again(self) -> None:
        """A certificate is renewed without a restart: the files themselves are read, and a reload tells the node."""
        self.assertIn("\nConfigurationDirectory=dkv\n", self.text)
        self.assertIn("\nExecReload=/bin/kill -HUP $MAINPID\n", self.text)
        self.assertNotIn("\nLoadCredential", self.text)
