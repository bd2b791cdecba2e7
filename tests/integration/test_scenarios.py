"""Each scenario of ``dkv scenario`` passes on real processes, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import HOST, RealCluster, child_environment, wait_until

DKV = [sys.executable, "-c", "from dkv.cli.main import main; main()", "scenario"]


class ScenarioTestCase(SynchronousTestCase):
    timeout = 300

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.environment = child_environment() | {"TMPDIR": str(self.directory)}

    def play(self, *words: str) -> tuple[int, list[dict[str, Any]], str]:
        """Exit status, the objects printed, and stderr."""
        done = subprocess.run(
            [*DKV, *words, "--output", "json"], env=self.environment, capture_output=True, text=True, timeout=200
        )
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    def passes(self, *words: str) -> dict[str, Any]:
        """The last line of a scenario that passes."""
        status, lines, complaint = self.play(*words)
        self.assertEqual((status, lines[-1:] and lines[-1].get("result")), (0, "PASS"), f"{lines} {complaint}")
        self.assertTrue(all(line["ok"] for line in lines[:-1]))
        self.assertEqual(os.listdir(self.directory), [])
        return lines[-1]


class LeaderTest(ScenarioTestCase):
    """A user who tries what the README promises sees it kept."""

    mode = "leader"

    def test_basic(self) -> None:
        """Writes on one node are seen on the others."""
        self.passes("basic", "--mode", self.mode)

    def test_duplicates(self) -> None:
        """A hundred requests, one effect."""
        last = self.passes("duplicates", "--mode", self.mode)
        self.assertEqual((last["requests"], last["applied"], last["suppressed"]), (100, 1, 99))

    def test_failover(self) -> None:
        """Clients of the other nodes wait for a moment."""
        self.assertLess(self.passes("failover", "--mode", self.mode)["resumed_seconds"], 1.5)

    def test_stuck_disk(self) -> None:
        """The node says that its disk hangs; another one leads, and clients of the others hardly notice."""
        self.assertLess(self.passes("stuck-disk", "--mode", self.mode)["longest_pause_seconds"], 5.0)

    def test_recovery(self) -> None:
        """All that was missed is fetched."""
        last = self.passes("recovery", "--mode", self.mode, "--writes", "120")
        self.assertGreaterEqual(last["catchup_entries_applied"], 120)

    def test_recover(self) -> None:
        """A majority is destroyed: all that a node that is left had is there, and old nodes are refused."""
        last = self.passes("recover", "--mode", self.mode)
        self.assertGreater(last["acknowledged"], 300)
        self.assertLess(last["lost"], 50)

    def test_replace(self) -> None:
        """A new node takes the place of one that lost its disk; the old id stays out."""
        last = self.passes("replace", "--mode", self.mode)
        self.assertGreater(last["acknowledged"], 100)
        self.assertLess(last["longest_pause_seconds"], 5.0)

    def test_move(self) -> None:
        """Clients find the members at other addresses, and then other members."""
        self.assertLess(self.passes("move", "--mode", self.mode)["longest_pause_seconds"], 5.0)

    def test_partition(self) -> None:
        """The lone node refuses."""
        self.passes("partition", "--mode", self.mode)

    def test_loadtest(self) -> None:
        """What clients saw is linearizable."""
        last = self.passes("loadtest", "--mode", self.mode, "--seconds", "1.5", "--clients", "6", "--keys", "50")
        self.assertGreater(last["requests"], 50)


class ClassicTest(LeaderTest):
    """The same without a leader."""

    mode = "classic"


class GrowTest(ScenarioTestCase):
    """The longest one, in the mode that has more to lose: leaders that are killed, and one that is removed."""

    def test_grow(self) -> None:
        """One node, three, five, three: each size survives the kills that it should."""
        self.assertLess(self.passes("grow")["longest_pause_seconds"], 5.0)


class GivenClusterTest(ScenarioTestCase):
    """On somebody's cluster nothing is killed, and nothing is left."""

    def setUp(self) -> None:
        super().setUp()
        self.cluster = RealCluster(top="allow_faults = true\n")
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.endpoints = ",".join(f"{HOST}:{node.port}" for node in self.cluster.nodes)

    def keys_written(self) -> list[bytes]:
        """The keys that the log wrote and that are there still."""
        node = self.cluster.nodes[0]
        slots = node.call("DKV.LOG", 1, 1000)
        commands = [command for *_, batches, _ in slots for _, batch in batches for command in batch]
        words = [command[3:] if command[0] == b"IDMP" else command for command in commands]
        keys = {command[1] for command in words if command[0] in (b"PUT", b"APPEND")}
        self.assertTrue(keys)
        return [key for key in keys if node.call("GET", key) is not None]

    def test_nothing_is_left(self) -> None:
        """Keys of a scenario have names of their own, and are deleted."""
        self.cluster.nodes[1].call("PUT", "x", "mine")
        for words in (("basic",), ("duplicates",), ("loadtest", "--seconds", "0.5", "--keys", "10")):
            self.passes(*words, "--endpoints", self.endpoints)
        self.assertEqual(self.keys_written(), [b"x"])
        self.assertEqual(self.cluster.nodes[0].call("GET", "x"), b"mine")

    def test_what_needs_its_own(self) -> None:
        """A scenario that kills nodes does not kill yours."""
        for name in ("failover", "grow", "move", "recover", "recovery", "replace", "stuck-disk"):
            status, lines, complaint = self.play(name, "--endpoints", self.endpoints)
            self.assertEqual((status, [line["error"] for line in lines]), (2, ["USAGE"]))
            self.assertIn(f"{name} needs a cluster of its own", complaint)
            self.assertEqual(complaint.count("\n"), 1)

    def test_a_node_that_is_down(self) -> None:
        """One clear line, and the status of nobody reachable."""
        self.cluster.nodes[2].kill()
        status, _, complaint = self.play("basic", "--endpoints", self.endpoints)
        self.assertEqual(status, 3)
        self.assertIn("a node is not reachable: cannot connect to", complaint)


class EndTest(ScenarioTestCase):
    """Whatever ends a scenario, its nodes end too."""

    def test_interrupted(self) -> None:
        """SIGINT and SIGTERM in the middle leave neither processes nor files."""
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(
                [*DKV, "loadtest", "--seconds", "60"], env=self.environment, stdout=subprocess.PIPE, text=True
            )
            self.addCleanup(process.kill)
            assert process.stdout is not None
            self.assertIn("serves", process.stdout.readline())
            (directory,) = self.directory.iterdir()
            process.send_signal(number)
            self.assertEqual(process.wait(30), 130)
            process.stdout.close()
            self.assertEqual(list(self.directory.iterdir()), [])
            wait_until(partial(_ended, directory), 10.0, "its nodes have ended")

    def test_a_wrong_number(self) -> None:
        """A mistake is one line and status 2, and starts nothing."""
        for words in (
            ("basic", "--nodes", "4"),
            ("recovery", "--writes", "0"),
            ("nonsense",),
            ("basic", "--mode", "x"),
        ):
            done = subprocess.run([*DKV, *words], env=self.environment, capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
        self.assertEqual(os.listdir(self.directory), [])


def _ended(directory: Path) -> bool:
    """Whether no process has the directory on its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(directory).encode() in path.read_bytes():
                return False
        except OSError:
            continue  # it has just ended
    return True
