"""Nodes on Twisted as it comes: what the setting leaves out is speed, and nothing else."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import RealCluster


class PlainReactorTests(SynchronousTestCase):
    def test_serves(self) -> None:
        """Whoever takes the faster loop for the fault must be able to go on without it."""
        cluster = RealCluster(3, top="fast_reactor = false\n")
        self.addCleanup(cluster.close)
        cluster.start()
        value = b"x" * 300_000  # more than a socket takes at once
        for node in cluster.nodes:
            self.assertEqual(node.call("PUT", f"of{node.number}", value), "OK")
        for node in cluster.nodes:
            values = [node.call("GET", f"of{other.number}") for other in cluster.nodes]
            self.assertEqual(values, [value] * 3)
        for node in cluster.nodes:
            node.stop()
