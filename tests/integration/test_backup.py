"""Backups of live clusters, and the clusters that are made of them: with real processes, disks and kill -9."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.storage.restored import EPOCH_SLOTS
from tests.integration.load import Writer, missing
from tests.integration.processes import RealCluster, RealNode, child_environment, shared_cluster, wait_until

SECONDS = 60.0
KEYS = 2_000


def dkv(*words: str, status: int = 0, **more: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command; it must end with ``status``."""
    command = [sys.executable, "-m", "dkv.cli.main", *words]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, env=child_environment(), check=False, **more)
    assert done.returncode == status, (done.returncode, done.stdout[-500:], done.stderr[-500:])
    return done


class RestoredCluster(RealCluster):
    """Three nodes whose directories ``dkv restore`` makes of a file."""

    def __init__(self, file: Path) -> None:
        super().__init__(3)
        for node in self.nodes:
            shutil.rmtree(node.directory)
        dkv("restore", str(file), "--config", str(self.config_path), "--data-dir", str(self.directory))


class BackupAndRestore(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = RealCluster(3)
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.file = self.cluster.directory / "state.dkv"

    def backup(self, node: RealNode, *words: str, status: int = 0) -> subprocess.CompletedProcess[bytes]:
        """Back up from one node."""
        return dkv("backup", str(self.file), "--endpoints", f"127.0.0.1:{node.port}", *words, status=status)

    def restored(self) -> RestoredCluster:
        """The cluster that is made of the file, running."""
        cluster = RestoredCluster(self.file)
        self.addCleanup(cluster.close)
        cluster.start()
        return cluster

    def test_under_load_and_back(self) -> None:
        """Everything acknowledged before the command began is in the new cluster; that is a cluster like any other.

        Writes go on while the backup is taken. Keys, tokens and the one setting are compared, then the new
        cluster takes writes, survives a kill -9 of all its nodes, and answers a repeated write as the old one did.
        """
        leader = self.cluster.leader()
        before = [Writer(node, f"before{node.number}", value_bytes=200) for node in self.cluster.nodes]
        wait_until(lambda: sum(len(each.acknowledged) for each in before) > KEYS, SECONDS, "many keys are written")
        for each in before:
            each.stop()
        counted = leader.call("IDMP", "alice", 7, "APPEND", "journal", "once")
        leader.call("CONFIG", "SET", "notify-keyspace-events", "Ex")
        meanwhile = [Writer(node, f"meanwhile{node.number}") for node in self.cluster.nodes]
        follower = next(node for node in self.cluster.nodes if node is not leader)
        fields = json.loads(self.backup(follower, "--output", "json").stdout)
        for each in meanwhile:
            each.stop()
        self.assertEqual([each.errors for each in meanwhile], [[], [], []])
        self.assertEqual(fields["node"], follower.number)
        self.assertIn(b"ok: ", dkv("verify", str(self.file)).stdout)

        new = self.restored()
        self.assertEqual(missing(new.nodes[0], before), [])
        self.assertEqual(new.nodes[1].call("IDMP", "alice", 7, "APPEND", "journal", "once"), counted)
        self.assertEqual(new.nodes[2].call("GET", "journal"), b"once")
        self.assertEqual(new.nodes[2].call("CONFIG", "GET", "notify-*"), [b"notify-keyspace-events", b"xE"])
        status = json.loads(new.nodes[0].call("DKV.STATUS"))
        self.assertGreaterEqual(status["applied_through"], EPOCH_SLOTS)
        after = [Writer(node, f"after{node.number}") for node in new.nodes]
        wait_until(lambda: sum(len(each.acknowledged) for each in after) > KEYS / 4, SECONDS, "new keys are written")
        for node in new.nodes:
            node.kill()
        for each in after:
            each.stop()
        new.start()
        self.assertEqual(missing(new.nodes[1], [*before, *after]), [])
        for node in new.nodes:
            node.stop()
            self.assertIn(b"ok: ", dkv("verify", str(node.directory)).stdout)

    def test_other_backups_do_not_mix(self) -> None:
        """A node that was restored from another backup of the same cluster is refused by the others."""
        node = self.cluster.nodes[0]
        node.call("PUT", "x", 1)
        self.backup(node)
        new = RestoredCluster(self.file)
        self.addCleanup(new.close)
        self.file.unlink()
        node.call("PUT", "x", 2)
        self.backup(node)
        stranger = new.nodes[2]
        shutil.rmtree(stranger.directory)
        config = ["--config", str(new.config_path), "--data-dir", str(stranger.directory)]
        dkv("restore", str(self.file), *config, "--node", "3")
        for each in new.nodes:
            each.start()
        lines = wait_until(lambda: new.nodes[0].logged("peer_refused"), SECONDS, "the stranger is refused")
        self.assertIn("another cluster key", lines[0]["reason"])
        self.assertFalse(stranger.serves())

    def test_client_that_goes_away(self) -> None:
        """A client that is killed in the middle blocks no other one, and its view is closed."""
        node = self.cluster.nodes[0]
        for number in range(40):
            node.call("PUT", f"k{number}", "v" * 100_000)
        command = [sys.executable, "-m", "dkv.cli.main", "backup", str(self.file), "--rate", "0.2"]
        environment = child_environment() | {"DKV_ENDPOINTS": f"127.0.0.1:{node.port}"}
        slow = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        part = self.file.with_name("state.dkv.part")
        wait_until(lambda: part.exists() and part.stat().st_size > 0, SECONDS, "a backup is under way")
        other = str(self.cluster.directory / "other.dkv")
        busy = dkv("backup", other, "--endpoints", f"127.0.0.1:{node.port}", status=4)
        self.assertIn(b"BUSY another client is taking a backup", busy.stderr)
        slow.send_signal(signal.SIGINT)
        _, complaint = slow.communicate(timeout=SECONDS)
        self.assertEqual(slow.returncode, 130, complaint)
        self.assertIn(b"interrupted; ", complaint)
        self.assertFalse(part.exists() or self.file.exists())
        wait_until(lambda: not os.path.exists(other), SECONDS, "nothing was made")
        dkv("backup", other, "--endpoints", f"127.0.0.1:{node.port}")

    def test_node_that_is_killed(self) -> None:
        """A node that dies in the middle leaves one line, and no file."""
        node = self.cluster.nodes[1]
        for number in range(40):
            node.call("PUT", f"k{number}", "v" * 100_000)
        command = [sys.executable, "-m", "dkv.cli.main", "backup", str(self.file), "--rate", "0.2"]
        environment = child_environment() | {"DKV_ENDPOINTS": f"127.0.0.1:{node.port}"}
        slow = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        part = self.file.with_name("state.dkv.part")
        wait_until(lambda: part.exists(), SECONDS, "a backup is under way")
        node.kill()
        _, complaint = slow.communicate(timeout=SECONDS)
        self.assertIn(slow.returncode, (3, 5), complaint)
        self.assertRegex(complaint, rb"\Adkv: [^\n]*\n\Z")
        self.assertFalse(part.exists() or self.file.exists())


class NoRoomAndNoReader(SynchronousTestCase):
    """What stands in the way of the bytes, with the kernel's own errors."""

    def setUp(self) -> None:
        self.endpoint = f"127.0.0.1:{shared_cluster().nodes[0].port}"
        self.place = Path(self.mktemp())
        self.place.mkdir()
        shared_cluster().nodes[0].call("PUT", "a large one", "v" * 500_000)

    def test_full_disk(self) -> None:
        """One line, and what was written is gone."""

        def limit() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        done = dkv("backup", str(self.place / "f"), "--endpoints", self.endpoint, status=1, preexec_fn=limit)
        self.assertRegex(done.stderr, rb"\Adkv: cannot write [^\n]*: File too large; it was not made\n\Z")
        self.assertEqual(os.listdir(self.place), [])

    def test_stdout_that_is_full(self) -> None:
        """Status 74, as for every command."""
        with open("/dev/full", "wb") as full:
            command = [sys.executable, "-m", "dkv.cli.main", "backup", "-", "--endpoints", self.endpoint]
            done = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, timeout=SECONDS, env=child_environment(), check=False
            )
        self.assertEqual(done.returncode, 74, done.stderr)
        self.assertRegex(done.stderr, rb"\Adkv: cannot write the output: [^\n]*\n\Z")

    def test_closed_pipe(self) -> None:
        """``dkv backup - | head -c 20`` ends in silence, as other tools do."""
        command = [sys.executable, "-m", "dkv.cli.main", "backup", "-", "--endpoints", self.endpoint]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=child_environment())
        assert process.stdout is not None and process.stderr is not None
        self.assertEqual(process.stdout.read(13), b"dkv backup 3\n")
        process.stdout.close()
        self.assertEqual((process.wait(SECONDS), process.stderr.read()), (141, b""))
        process.stderr.close()
