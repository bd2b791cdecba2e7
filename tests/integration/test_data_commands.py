"""The commands on data, against real nodes."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import HOST, RealCluster, child_environment, shared_cluster

SECONDS = 60.0


def dkv(cluster: RealCluster, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command against all nodes of a cluster."""
    endpoints = ",".join(f"{HOST}:{node.port}" for node in cluster.nodes)
    command = [sys.executable, "-m", "dkv.cli.main", words[0], "--endpoints", endpoints, *words[1:]]
    environment = child_environment() | {"XDG_STATE_HOME": str(cluster.directory / "state")}
    return subprocess.run(command, input=stdin, capture_output=True, env=environment, timeout=SECONDS, check=False)


class DataCommandTests(SynchronousTestCase):
    """Three nodes that others use, too."""

    def dkv(self, *words: str, stdin: bytes = b"", status: int = 0) -> bytes:
        """What a command prints, which must end with this status."""
        done = dkv(shared_cluster(), *words, stdin=stdin)
        self.assertEqual(done.returncode, status, done)
        return done.stdout

    def test_raw(self) -> None:
        """Bytes that were put come back as they were, whatever they are."""
        data = bytes(range(256)) + b"\r\n"
        self.dkv("put", "data-commands:raw", "-", stdin=data)
        self.assertEqual(self.dkv("get", "--raw", "data-commands:raw"), data)


class WaitingTests(SynchronousTestCase):
    """A cluster without its majority."""

    def test_what_it_waits_for(self) -> None:
        """A user who waits for a cluster that is down is told so before the command gives up."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        for node in cluster.nodes[1:]:
            node.kill()
        done = dkv(cluster, "get", "k")
        first, second = done.stderr.decode().splitlines()
        one, two, _ = (f"{HOST}:{node.port}" for node in cluster.nodes)
        self.assertTrue(first.startswith(f"dkv: waiting: {one} "), first)
        self.assertIn(f"; cannot connect to {two}: Connection refused; ", first)
        self.assertTrue(second.startswith("dkv: refused: "), second)
        self.assertEqual((done.returncode, done.stdout), (4, b""))
