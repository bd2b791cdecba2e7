"""The alert rules: Prometheus accepts them, they ask for metrics that exist, and they fire when they should."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dkv import noted
from dkv.config.config import parse_config
from dkv.console.node_metrics import NodeMetrics
from dkv.node.protection import Protection
from tests.certificates import Certificates
from tests.console.test_node_metrics import NODE, READINGS
from tests.node.test_protection import Owner

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "etc" / "dkv.rules.yml"
PAGE = ROOT / "docs" / "operations.md"

IN_DAYS = b"dkv_credentials_expire_days"
"""The lint wants seconds, but people plan in days when certificates are replaced."""


def promtool(*words: str, stdin: bytes = b"") -> str:
    """What promtool says; its failure fails the test."""
    if shutil.which("promtool") is None:
        raise SkipTest("promtool is not installed here")
    ended = subprocess.run(["promtool", *words], input=stdin, capture_output=True)
    said = (ended.stdout + ended.stderr).decode()
    assert ended.returncode == 0, said
    return said


class AlertRuleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = RULES.read_text(encoding="utf-8")
        self.metrics = NodeMetrics(NODE, lambda: READINGS, lambda: 0.0)
        self.metrics.further.append(self.protection().metrics)
        self.metrics.takers[noted.committed](seconds=0.1)
        self.metrics.takers[noted.refused](reason="UNCERTAIN", count=1)
        self.metrics.takers[noted.clocks_compared](time_ms=1, offsets={1: 0.0})

    def protection(self) -> Protection:
        """That of a node with TLS."""
        home = Certificates(Path(self.mktemp()), "c").directory
        files = {"ca": "ca.pem", "certificate": "node{id}.pem", "key": "node{id}.key"}
        member = {"id": 1, "client": "127.0.0.1:5001", "peer": "127.0.0.1:5101"}
        tls = {name: str(home / file) for name, file in files.items()}
        owner: Any = Owner()
        protection = Protection(owner, parse_config({"cluster": "c", "node": [member], "tls": tls}), 1)
        protection.load()
        return protection

    def test_metrics_exist(self) -> None:
        """A rule on a metric that was renamed never fires, and nothing says so."""
        there = set(re.findall(r"^(dkv_\w+)", self.metrics.text().decode(), re.MULTILINE))
        for expression in re.findall(r"^ +expr: (.*)$", self.text, re.MULTILINE):
            named = set(re.findall(r"\bdkv_\w+", expression))
            self.assertEqual(named - there, set(), expression)

    def test_every_alert_is_on_the_page(self) -> None:
        """Whoever is woken by an alert looks it up."""
        alerts = re.findall(r"- alert: (\w+)", self.text)
        self.assertEqual(len(alerts), len(set(alerts)))
        page = PAGE.read_text(encoding="utf-8")
        self.assertEqual([alert for alert in alerts if f"`{alert}`" not in page], [])

    def test_prometheus_accepts_them(self) -> None:
        """A file that Prometheus does not load keeps it from starting."""
        self.assertIn("SUCCESS", promtool("check", "rules", str(RULES)))

    def test_they_fire(self) -> None:
        """Each for what it is about, and none while all is well."""
        self.assertIn("SUCCESS", promtool("test", "rules", str(ROOT / "tests" / "etc" / "dkv.rules.test.yml")))

    def test_every_alert_is_tried(self) -> None:
        """An alert that no test fires may be one that cannot."""
        tried = (ROOT / "tests" / "etc" / "dkv.rules.test.yml").read_text(encoding="utf-8")
        fired = set(re.findall(r"alertname: (\w+)\n +exp_alerts:", tried))
        self.assertEqual(set(re.findall(r"- alert: (\w+)", self.text)), fired)

    def test_names_follow_the_conventions(self) -> None:
        """Prometheus's own lint finds nothing: units last, counters with _total, a help for each."""
        lines = self.metrics.text().splitlines(keepends=True)
        text = b"".join(line for line in lines if IN_DAYS not in line)
        self.assertNotEqual(len(text), len(b"".join(lines)))
        self.assertEqual(promtool("check", "metrics", stdin=text), "")
