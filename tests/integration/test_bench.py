"""``dkv bench`` measures real clusters, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.benchmarks import parts
from dkv.cli.benchmarks.drivers import BUILT_IN
from dkv.cli.benchmarks.rounds import Rounds
from dkv.cli.benchmarks.systems import OwnDkv, wait
from dkv.cli.benchmarks.workload import ALL_NODES, Workload
from dkv.settings import LEADER
from tests.integration.processes import child_environment

BENCH = [sys.executable, "-c", "from dkv.cli.main import main; main()", "bench"]
SMALL = ("--seconds", "0.1", "--generator", BUILT_IN, "--output", "json")


class BenchTest(SynchronousTestCase):
    """A user who asks how fast it is gets figures of it, on this machine."""

    timeout = 120

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def bench(self, *words: str) -> list[dict[str, Any]]:
        """The rows of ``dkv bench`` with ``words``, which leaves nothing in its directory."""
        where = self.directory / "systems"
        where.mkdir()
        command = [*BENCH, *words, "--data-dir", str(where), *SMALL]
        done = subprocess.run(command, env=child_environment(), capture_output=True, text=True, timeout=100)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(os.listdir(where), [])
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_a_cluster_of_its_own(self) -> None:
        """Every figure that is promised is there; each write that was acknowledged alone was synced by a majority."""
        drawing, chapter = self.directory / "plot.svg", self.directory / "results.md"
        rows = self.bench(
            *("--operations", "set,get,mixed", "--clients", "1,8", "--pipelines", "1", "--value-bytes", "64"),
            *("--plot", str(drawing), "--markdown", str(chapter)),
        )
        self.assertEqual(len(rows), 3 * 2 * 2)
        for row in rows:
            for figure in ("ops_per_second", "p50_ms", "p99_ms", "p999_ms", "cpu_us_per_op"):
                self.assertGreater(row[figure], 0, row)
        alone = next(row for row in rows if row["workload"] == "SET, 1 client")
        self.assertGreaterEqual(alone["fsyncs_per_op"], 2)
        reads = next(row for row in rows if row["workload"] == "GET, 8 clients")
        self.assertLess(reads["fsyncs_per_op"], 0.1)
        self.assertIn("polyline", drawing.read_text())
        self.assertIn("## Throughput", chapter.read_text())

    def test_an_axis(self) -> None:
        """New clusters, one after the other, on every axis that needs them."""
        rows = self.bench("clients")
        self.assertEqual([row["clients"] for row in rows], [1, 10, 100, 1000])
        self.assertTrue(all(row["set_ops_per_second"] > 0 and row["get_ops_per_second"] > 0 for row in rows))

    def test_the_leader_is_killed(self) -> None:
        """A gap is measured, and the cluster is whole again afterwards."""
        before = dict(os.environ)
        self.addCleanup(os.environ.update, before)
        self.addCleanup(os.environ.clear)
        os.environ.update(child_environment())
        with ExitStack() as life:
            cluster = OwnDkv(self.directory, 3, LEADER, BUILT_IN, life)
            (row,) = parts.failover([cluster], 1, lambda _: None)
            self.assertTrue(0.005 < row["median_gap_seconds"] < 5, row)
            Rounds([cluster], 1, 0.1).compare(Workload("set", 3, to=ALL_NODES))

    def test_a_follower_is_killed(self) -> None:
        """The part "upkeep" measures while it is away, and until it is there again."""
        before = dict(os.environ)
        self.addCleanup(os.environ.update, before)
        self.addCleanup(os.environ.clear)
        os.environ.update(child_environment())
        with ExitStack() as life:
            cluster = OwnDkv(self.directory, 3, LEADER, BUILT_IN, life)
            start_again = cluster.kill_follower()
            cluster.run(Workload("set", 8), 200)
            self.assertEqual(len(cluster.endpoints), 2)
            node = start_again()
            wait(lambda: cluster.lag(node) == 0, "it has caught up")
            self.assertEqual(len(cluster.endpoints), 3)
