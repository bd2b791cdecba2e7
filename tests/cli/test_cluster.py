"""dkv cluster from its command line to what it says; the nodes are fake."""

from __future__ import annotations

import os
import shlex
import signal
import stat
from pathlib import Path

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import cluster, layout, nodes
from dkv.cli.nodes import NodeProcess, Signals
from dkv.cli.output import Failure, Status
from tests.cli.commands import run
from tests.cli.test_nodes import keep_signals


class Cluster(SynchronousTestCase):
    """``dkv cluster``."""

    def setUp(self) -> None:
        keep_signals(self)
        self.patch(layout, "check_ports", lambda config: None)
        self.patch(nodes, "run", self.run_nodes)
        self.nodes: list[NodeProcess] = []
        self.data = Path(self.mktemp())

    def run_nodes(self, members: list[NodeProcess], signals: Signals, welcome: object) -> Status:
        """Instead of running them: all is well at once, and the user stops them."""
        self.nodes = members
        assert callable(welcome)
        welcome()
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertTrue(signals.stop)
        return Status.DONE

    def cluster(self, *words: str) -> Result:
        return run("cluster", "--data-dir", str(self.data), *words)

    def test_nodes(self) -> None:
        """Each node gets its own directory and log, and the command line that the user could type."""
        self.assertEqual(self.cluster("--nodes", "2").exit_code, 0)
        self.assertEqual([node.log_path for node in self.nodes], [self.data / "node1.log", self.data / "node2.log"])
        place = self.data.absolute()
        expected = f"-n --pidfile= dkvnode --config {place}/cluster.toml --node 2 --data-dir {place}/node2"
        self.assertEqual(list(self.nodes[1].arguments), shlex.split(expected))

    def test_private(self) -> None:
        """Data, config and logs are nobody else's business, whatever the umask."""
        before = os.umask(0o000)
        self.addCleanup(os.umask, before)
        self.assertEqual(self.cluster().exit_code, 0)
        self.assertEqual(os.umask(0o000), 0o000, "it is as it was")
        for path in (self.data, *self.data.rglob("*")):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o700 if path.is_dir() else 0o600, path)

    def test_welcome(self) -> None:
        """The commands that the user is told to type reach the running nodes, at their ports."""
        self.patch(cluster, "script", lambda name: name)
        lines = [line.strip() for line in self.cluster().stdout.splitlines()]
        self.assertIn("cluster ready", lines)
        self.assertIn("redis-cli -h 127.0.0.1 -p 5002 get x", lines)
        self.assertIn("dkv get x", lines)
        self.data = Path(self.mktemp())
        lines = [line.strip() for line in self.cluster("--nodes", "1", "--base-port", "7001").stdout.splitlines()]
        self.assertIn("redis-cli -h 127.0.0.1 -p 7001 get x", lines)
        self.assertIn("dkv get x --endpoints 127.0.0.1:7001", lines)

    def test_statuses(self) -> None:
        """A script can tell a mistake from a node that did not start; each is one line."""
        self.cluster()
        result = self.cluster("--nodes", "5")
        self.assertEqual(result.exit_code, 2)
        self.assertRegex(result.stderr, r"\Adkv: [^\n]*leave out --nodes 5[^\n]*\n\Z")

        def fail(*_: object) -> Status:
            raise Failure(Status.FAILED, "NODE", "node 2 ended at its start, exit status 1: the disk is full")

        self.patch(nodes, "run", fail)
        result = self.cluster()
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(result.stderr, "dkv: node 2 ended at its start, exit status 1: the disk is full\n")
