"""A node on whose disk one key changed: ``dkv compare`` names it, and the next check ends the node."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import DATABASE, STATE
from dkv.kv.stored import HEADER_BYTES
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.state_directories import FIRST_GENERATION, state_directory
from tests.integration.processes import RealCluster, RealNode, child_environment, wait_until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "failures" / "state-differs.md"
KEYS = 300
ALTERED = STATE + DATABASE + b"k150"
NEVER = "[timings]\nstate_check_seconds = 0\n"
OFTEN = "[timings]\nstate_check_seconds = 2\n"


def run_dkv(cluster: RealCluster, *words: str) -> tuple[int, str]:
    """Run ``dkv`` against all nodes: its status, and what it printed."""
    endpoints = ",".join(f"{node.host}:{node.port}" for node in cluster.nodes)
    command = [sys.executable, "-m", "dkv.cli.main", *words, "--endpoints", endpoints]
    done = subprocess.run(command, capture_output=True, text=True, env=child_environment(), timeout=120)
    return done.returncode, done.stdout + done.stderr


class StateDiffersTest(SynchronousTestCase):
    def alter(self, node: RealNode) -> None:
        """Stop the node, and change the value of one key: its checksums are right."""
        node.stop()
        state = LevelDBStore(state_directory(str(node.directory), FIRST_GENERATION), print)
        stored = state.get(ALTERED)
        assert stored is not None
        state.commit_now({ALTERED: stored[:HEADER_BYTES] + b"other"})
        state.close()

    def test_one_of_three(self) -> None:
        """Its answers would be wrong for ever, and everything would say "ready"."""
        cluster = RealCluster(settings=NEVER)
        self.addCleanup(cluster.close)
        cluster.start()
        good, bad, other = cluster.nodes
        for number in range(KEYS):
            self.assertEqual(good.call("PUT", f"k{number:03}", "v" * 400), "OK")
        status, printed = run_dkv(cluster, "compare")
        self.assertRegex(printed, rf"^equal: {KEYS} keys, [\d,]+ bytes at slot \d+ on nodes 1, 2, 3\n$")
        self.assertEqual(status, 0)
        self.alter(bad)
        bad.start()
        cluster.wait_ready()
        self.assertIn("```\ndkv compare\n```", PAGE.read_text(encoding="utf-8"))
        status, printed = run_dkv(cluster, "compare")
        lines = printed.splitlines()
        self.assertRegex(lines[0], r"^differs: key k150 at slot \d+$")
        self.assertIn("node 1: 400 bytes, revision ", lines[1])
        self.assertIn("node 2: 5 bytes, revision ", lines[2])
        self.assertEqual(lines[1].split(":")[1], lines[3].split(":")[1])
        self.assertEqual((status, len(lines)), (1, 4))
        self.check_by_themselves(cluster, bad, [good, other])

    def check_by_themselves(self, cluster: RealCluster, bad: RealNode, good: list[RealNode]) -> None:
        """With checks on, the damaged node ends for good, and the others say so and go on."""
        for node in cluster.nodes:
            node.stop()
        text = cluster.config_path.read_text()
        cluster.config_path.write_text(text.replace(NEVER, OFTEN))
        for node in cluster.nodes:
            node.start()
        assert bad.process is not None
        self.assertEqual(bad.process.wait(60), 3)
        bad.process = None
        (line,) = bad.logged("fenced")
        self.assertIn("is not that of nodes 1, 3", line["reason"])
        said = next(line for line in bad.log_path.read_text().splitlines() if line.startswith("dkvnode: fenced: "))
        page = PAGE.read_text(encoding="utf-8").replace("slot 2041", "slot N").replace("nodes 1, 2.", "nodes 1, 3.")
        self.assertIn(re.sub(r"slot \d+", "slot N", said), page)
        for node in good:
            wait_until(node.serves, 15.0, "the others serve")
            wait_until(partial(node.logged, "state_differs"), 10.0, "they say who differs")
            self.assertEqual({line["peer"] for line in node.logged("state_differs")}, {bad.number})
            self.assertEqual(node.call("GET", "k150"), b"v" * 400)
