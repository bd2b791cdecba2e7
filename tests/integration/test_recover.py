"""A majority that is gone for ever: what is left of real clusters begins anew, also when that is killed half-way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from dkv.storage.restored import EPOCH_SLOTS
from tests.integration.load import Writer, missing
from tests.integration.processes import RealCluster, RealNode, child_environment, wait_until
from tests.integration.test_backup import dkv

SECONDS = 60.0
KEYS = 3_000
VALUE_BYTES = 4_000
TAIL = "[limits]\nlog_tail_slots_max = 200\npoll_lag_slots_max = 100\n"


class RecoverTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = RealCluster(3, settings=TAIL)
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.new = RealCluster(1)
        self.addCleanup(self.new.close)
        self.made = self.new.nodes[0]
        shutil.rmtree(self.made.directory)

    def command(self, *words: str) -> list[str]:
        """The words of a command that recovers from node 3."""
        where = ["--config", str(self.new.config_path), "--data-dir", str(self.made.directory)]
        return ["recover", *words, str(self.cluster.nodes[2].directory), *(where if "--apply" in words else [])]

    def fill(self) -> list[Writer]:
        """Let clients write so much that the logs are compacted; what they were told."""
        writers = [Writer(node, f"w{node.number}", VALUE_BYTES) for node in self.cluster.nodes]
        wait_until(lambda: sum(len(each.acknowledged) for each in writers) > KEYS, SECONDS, "many keys are written")
        for each in writers:
            each.stop()
        return writers

    def destroy(self) -> RealNode:
        """Kill all nodes at once, and remove the directories of two; the one that is left."""
        *lost, left = self.cluster.nodes
        for node in self.cluster.nodes:
            node.kill()
        for node in lost:
            shutil.rmtree(node.directory)
        return left

    def test_killed_at_any_moment(self) -> None:
        """kill -9 of the command leaves no directory or a whole one; the same line, typed again, makes it.

        The log of the survivor is compacted, and it was killed as well. All that was acknowledged was on all nodes, so
        all of it is there, and a write that is sent again does not happen twice.
        """
        counted = self.cluster.nodes[0].call("IDMP", "alice", 7, "APPEND", "journal", "once")
        writers = self.fill()
        status = json.loads(self.cluster.nodes[2].call("DKV.STATUS"))
        applied = status["applied_through"]
        left = self.destroy()
        plan = json.loads(dkv(*self.command("--plan", "--output", "json")).stdout)
        self.assertGreaterEqual(plan["kept_through"], applied)
        self.assertGreater(plan["survivors"][0]["compacted_through"], 0)
        kills, delay = 0, 0.3
        while self.apply_for(delay) == -9 and not self.made.directory.exists():
            kills, delay = kills + 1, delay + 0.1
        self.assertGreater(kills, 0)
        self.assertIn(b"ok: ", dkv("verify", str(self.made.directory)).stdout)
        self.new.start()
        self.assertEqual(missing(self.made, writers), [])
        self.assertEqual(self.made.call("IDMP", "alice", 7, "APPEND", "journal", "once"), counted)
        self.assertEqual(self.made.call("GET", "journal"), b"once")
        self.assertGreaterEqual(json.loads(self.made.call("DKV.STATUS"))["applied_through"], EPOCH_SLOTS)
        self.assertIn(b"ok: ", dkv("verify", str(left.directory)).stdout)

    def apply_for(self, seconds: float) -> int:
        """Let the command run for so long, then kill it; its status."""
        command = [sys.executable, "-m", "dkv.cli.main", *self.command("--apply")]
        running = subprocess.Popen(command, env=child_environment(), stdout=subprocess.DEVNULL)
        try:
            return running.wait(seconds)
        except subprocess.TimeoutExpired:
            running.kill()
            return running.wait(SECONDS)

    def test_refused(self) -> None:
        """A survivor that runs, and a new directory whose node runs already."""
        words = self.command("--plan")
        self.assertIn(b"is locked: is another dkvnode using it?", dkv(*words, status=1).stderr)
        left = self.destroy()
        dkv(*self.command("--apply"))
        self.new.start()
        self.made.call("PUT", "x", "new")
        self.assertIn(b"name an empty or a new one", dkv(*self.command("--apply"), status=1).stderr)
        self.assertEqual(self.made.call("GET", "x"), b"new")
        left.start()
        wait_until(lambda: left.logged("started"), SECONDS, "the node that is left starts again, as it was")
        self.assertFalse(left.serves())
