"""Who may vote: only members of this cluster, on the very directories that the others met them with."""

from __future__ import annotations

import shutil

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import MEMBER, PROMISE, RECORD
from dkv.storage.binding import plyvel
from dkv.storage.data_directory import initialise
from tests.integration.load import Writer, missing
from tests.integration.processes import CLUSTER_KEY, RealCluster, RealNode, Refused, free_ports, wait_until

QUICK = "[timings]\nrequest_seconds = 1.5\n"
NOT_APPLIED = ("CLUSTERDOWN", "TRYAGAIN", "LOADING")


def refusal(node: RealNode, *request: str) -> str:
    """The first word of the error that the node answers; an answer that is no error fails the test."""
    try:
        answer = node.call(*request)
    except Refused as error:
        return str(error).split()[0]
    raise AssertionError(f"node {node.number} answered {request} with {answer!r}")


def votes(node: RealNode) -> list[bytes]:
    """The keys of all that a stopped node has promised, accepted, or learned of members."""
    database = plyvel.DB(str(node.directory))
    try:
        keys = list(database.iterator(include_value=False))
    finally:
        database.close()
    return [key for key in keys if key[:1] in (PROMISE, RECORD, MEMBER)]


class WipedNodeTest(SynchronousTestCase):
    """B12: a node that forgot its votes and votes again lets a majority forget what it acknowledged."""

    def setUp(self) -> None:
        self.cluster = RealCluster(settings=QUICK)
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.survivor, self.other, self.wiped = self.cluster.nodes
        self.assertEqual(self.survivor.call("PUT", "before", "1"), "OK")
        self.wiped.stop()
        shutil.rmtree(self.wiped.directory)
        self.cluster.initialise(self.wiped)

    def wait_refused(self) -> None:
        """Until both others have refused the wiped node, and it knows."""
        wait_until(
            lambda: {line["peer"] for line in self.wiped.logged("refused_by_peer")} == {1, 2},
            15.0,
            lambda: f"the wiped node is refused; its log: {self.cluster.tail(self.wiped)}",
        )

    def wait_serving(self, *nodes: RealNode) -> None:
        for node in nodes:
            wait_until(node.serves, 15.0, f"node {node.number} serves")

    def test_it_is_refused_and_never_votes(self) -> None:
        """The others refuse it by name, once in each log; with one of them down, nothing is acknowledged."""
        self.wiped.start()
        self.wait_refused()
        self.wait_serving(self.survivor, self.other)
        self.assertEqual(self.survivor.call("PUT", "with two", "1"), "OK")
        self.other.kill()
        for node in (self.survivor, self.wiped):
            self.assertIn(refusal(node, "PUT", "alone", "1"), (*NOT_APPLIED, "UNCERTAIN"))
            self.assertIn(refusal(node, "GET", "before"), NOT_APPLIED)
        self.other.start()
        self.wait_serving(self.survivor, self.other)
        for node in (self.survivor, self.other):
            self.assertEqual(node.call("GET", "before"), b"1")
            self.assertEqual(node.call("GET", "with two"), b"1")
        self.assertIn(refusal(self.wiped, "GET", "before"), NOT_APPLIED)
        self.wiped.stop()
        self.assertEqual(votes(self.wiped), [])

    def test_one_clear_line_on_each_side(self) -> None:
        """The line names the node and says what became of it; the operator reads it once, not once a second."""
        self.wiped.start()
        self.wait_refused()
        self.assertIn(refusal(self.wiped, "GET", "before"), NOT_APPLIED)  # by then each side has tried again
        for node in (self.survivor, self.other):
            lines = [line for line in node.wait_logged("peer_refused") if line["peer"] == self.wiped.number]
            self.assertEqual(len(lines), 1, lines)
            self.assertIn("node 3 has incarnation", lines[0]["reason"])
            self.assertIn("lost its data directory", lines[0]["reason"])
            told = [line for line in self.wiped.logged("refused_by_peer") if line["peer"] == node.number]
            self.assertEqual([line["reason"] for line in told], [lines[0]["reason"]])

    def test_nodes_that_restart_refuse_it_still(self) -> None:
        """Whom a node has met is on its disk: after a restart it does not take the wiped node for a new one."""
        self.survivor.stop()
        self.other.stop()
        self.wiped.start()
        self.survivor.start()
        wait_until(lambda: self.wiped.logged("refused_by_peer"), 15.0, "the node that has restarted refuses it")
        self.assertIn(refusal(self.survivor, "PUT", "alone", "1"), (*NOT_APPLIED, "UNCERTAIN"))
        self.other.start()
        self.wait_serving(self.survivor, self.other)
        self.wait_refused()
        self.wiped.stop()
        self.assertEqual(votes(self.wiped), [])


class StrangerTest(SynchronousTestCase):
    """Two clusters whose configs were mixed up must not become one."""

    def test_node_of_another_cluster(self) -> None:
        """It is refused by name on each side; the cluster it dialled elects nobody and answers everything."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        elections = [len(node.logged("leader_elected")) for node in cluster.nodes]
        writers = [Writer(node, f"w{node.number}") for node in cluster.nodes]
        for writer in writers:
            self.addCleanup(writer.stop)
        stranger = self.start_stranger(cluster)
        wait_until(
            lambda: {line["peer"] for line in stranger.logged("refused_by_peer")} == {1, 2},
            15.0,
            lambda: f"the stranger is refused; its log: {cluster.tail(stranger)}",
        )
        self.assertIn(refusal(stranger, "GET", "x"), NOT_APPLIED)
        for writer in writers:
            writer.stop()
            self.assertEqual(writer.errors, [])
            self.assertGreater(len(writer.acknowledged), 0)
        self.assertEqual(missing(cluster.nodes[0], writers), [])
        self.assertEqual([len(node.logged("leader_elected")) for node in cluster.nodes], elections)
        for node in cluster.nodes[:2]:
            (line,) = node.wait_logged("peer_refused")
            self.assertIn("node 3 belongs to cluster 'production'", line["reason"])
        self.assertEqual(stranger.logged("peer_found"), [])

    def start_stranger(self, cluster: RealCluster) -> RealNode:
        """Node 3 of another cluster, in whose config the other two have the addresses of this one's."""
        client, peer, admin = free_ports(3)
        stranger = RealNode(cluster, 3, client, peer, admin)
        stranger.directory = cluster.directory / "stranger"
        stranger.log_path = cluster.directory / "stranger.log"
        stranger.config_path = cluster.directory / "stranger.toml"
        real = cluster.nodes[2]
        config = cluster.config_path.read_text().replace('cluster = "test"', 'cluster = "production"')
        config = config.replace(str(real.port), str(client)).replace(str(real.peer_port), str(peer))
        config = config.replace(str(real.admin_port), str(admin))
        stranger.config_path.write_text(f"{config}\n{QUICK}")
        initialise(str(stranger.directory), "production", 3, (1, 2, 3), CLUSTER_KEY)
        self.addCleanup(stranger.kill)
        stranger.start()
        return stranger


class FirstStartTest(SynchronousTestCase):
    """Nodes that have not met everyone could not tell a wiped one from a new one, so at first all must meet."""

    def test_all_at_first_a_majority_later(self) -> None:
        """Two of three fresh nodes answer nothing; the third makes them serve; from then on two are enough."""
        cluster = RealCluster(settings=QUICK)
        self.addCleanup(cluster.close)
        first, second, third = cluster.nodes
        first.start()
        second.start()
        for node in (first, second):
            wait_until(lambda node=node: node.logged("peer_found"), 15.0, "the two have met")  # type: ignore[misc]
            self.assertIn(refusal(node, "PUT", "x", "0"), NOT_APPLIED)
            self.assertIn(refusal(node, "GET", "x"), NOT_APPLIED)
        third.start()
        cluster.wait_ready()
        for node in cluster.nodes:
            self.assertIsNone(node.call("GET", "x"))
        self.assertEqual(first.call("PUT", "x", "1"), "OK")
        for node in cluster.nodes:
            node.stop()
        second.start()
        third.start()
        cluster.wait_ready()
        self.assertEqual(second.call("GET", "x"), b"1")
        self.assertEqual(third.call("APPEND", "x", "2"), 2)
