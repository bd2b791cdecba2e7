"""Five nodes: any three are enough, two are not."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.load import Writer, missing
from tests.integration.processes import RealCluster, Refused, wait_until

SETTINGS = "[timings]\nrequest_seconds = 2.0\n"


class FiveNodesTest(SynchronousTestCase):
    """A user who pays for five nodes wants to lose two of them."""

    def test_two_down_three_down_and_back(self) -> None:
        """The leader and another killed under load: a pause; a third: refused; back again: everything is there."""
        cluster = RealCluster(5, SETTINGS)
        self.addCleanup(cluster.close)
        cluster.start()
        leader = cluster.leader()
        others = [node for node in cluster.nodes if node is not leader]
        survivors, second, third = others[:2], others[2], others[3]
        writers = [Writer(node, f"w{node.number}") for node in (*survivors, third)]
        for writer in writers:
            self.addCleanup(writer.stop)
        self.acknowledge(writers, 20)
        leader.kill()
        second.kill()
        self.acknowledge(writers, 20)
        for writer in writers:
            writer.stop()
            self.assertEqual(writer.errors, [])
            self.assertLess(writer.longest_pause(), 2.0)
        third.kill()
        refused = self.assertRaises(Refused, survivors[0].call, "PUT", "x", "1")
        self.assertIn(str(refused).split()[0], ("CLUSTERDOWN", "TRYAGAIN", "UNCERTAIN"))
        refused = self.assertRaises(Refused, survivors[1].call, "GET", writers[0].acknowledged[0][1])
        self.assertIn(str(refused).split()[0], ("CLUSTERDOWN", "TRYAGAIN"))
        for node in (third, second, leader):
            node.start()
        cluster.wait_ready()
        for node in cluster.nodes:
            self.assertEqual(missing(node, writers), [], f"node {node.number}")
            self.assertEqual(node.call("PUT", f"again{node.number}", "1"), "OK")

    def acknowledge(self, writers: list[Writer], more: int) -> None:
        goals = [(writer, len(writer.acknowledged) + more) for writer in writers]
        wait_until(
            lambda: all(len(writer.acknowledged) >= goal for writer, goal in goals),
            20.0,
            lambda: f"{more} more writes each: {[writer.errors for writer in writers]}",
        )
