"""A data directory knows who the members are and how old it is: no edit or copy loses what was acknowledged."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.node.options import FENCED_STATUS
from tests.integration.processes import CLUSTER_KEY, RealCluster, RealNode, Refused, free_ports, wait_until
from tests.integration.test_startup import run

QUICK = "[timings]\nrequest_seconds = 1.5\n"


class MembersTest(SynchronousTestCase):
    """B33: whoever edits the list of a config file must not make two majorities of one. The log says who votes."""

    def edit(self, node: RealNode, *members: int) -> None:
        """Give it a config file that lists ``members`` only."""
        tables = node.cluster.config_path.read_text().split("\n[[node]]\n")
        kept = [table for table in tables if (found := re.match(r"id = (\d+)", table)) and int(found[1]) in members]
        node.config_path = node.cluster.directory / f"edited{node.number}.toml"
        node.config_path.write_text("\n[[node]]\n".join([tables[0], *kept]))

    def assert_no_majority(self, node: RealNode) -> None:
        """It knows that it cannot acknowledge anything, and says so."""

        def refuses() -> bool:
            try:
                node.call("PUT", "x", "alone")
            except (OSError, Refused) as error:
                return "CLUSTERDOWN" in str(error)
            raise AssertionError("a minority acknowledged a write")

        wait_until(refuses, 20.0, f"node {node.number} refuses a write")

    def test_b33_five_become_three(self) -> None:
        """Nodes 1 and 2 with a list of three would be a majority of it, and the other three one of five.

        The list has no addresses of nodes 4 and 5, which must be met before the first vote: so it is put back.
        """
        cluster = RealCluster(5)
        self.addCleanup(cluster.close)
        for node in cluster.nodes[:2]:
            self.edit(node, 1, 2, 3)
            node.start()
        for node in cluster.nodes[:2]:
            self.assert_no_majority(node)
            (line,) = node.wait_logged("config_differs")
            self.assertEqual(
                line["reason"], "the config file lists the nodes 1, 2, 3, and the members are 1, 2, 3, 4, 5"
            )
        for node in cluster.nodes[:2]:
            node.stop()
            node.config_path = cluster.config_path
        cluster.start()

    def test_b33_three_become_one_or_two(self) -> None:
        """A single node of three would acknowledge everything alone; put back, the list is as good as ever."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        first, second, third = cluster.nodes
        self.assertEqual(first.call("PUT", "x", "1"), "OK")
        for node in cluster.nodes:
            node.stop()
        for members in ((1,), (1, 3)):
            self.edit(first, *members)
            first.start()
            self.assert_no_majority(first)
            first.stop()
        first.config_path = cluster.config_path
        cluster.start()
        for node in (second, third, first):
            self.assertEqual(node.call("GET", "x"), b"1")


class CopyTest(SynchronousTestCase):
    """B34: an older copy of a directory votes against its own promises and numbers batches a second time."""

    def setUp(self) -> None:
        self.cluster = RealCluster(settings=QUICK)
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.first, self.second, self.third = self.cluster.nodes
        self.copy = self.cluster.directory / "copy"

    def set(self, node: RealNode, *keys: str) -> None:
        for key in keys:
            self.assertEqual(node.call("SET", key, key), "OK")

    def assert_all_hold(self, *keys: str) -> None:
        """Nothing that was acknowledged is missing anywhere."""
        for node in self.cluster.nodes:
            if node.process is not None:
                for key in keys:
                    self.assertEqual(node.call("GET", key), key.encode())

    def assert_fenced(self, node: RealNode, *words: str) -> None:
        """The node ends by itself for good and says why; it does not start again."""
        assert node.process is not None
        self.assertEqual(node.process.wait(15.0), FENCED_STATUS, self.cluster.tail(node))
        node.process = None
        (line,) = [line for line in node.log_path.read_text().splitlines() if line.startswith("dkvnode: ")]
        for each in (*words, "a new node take its place"):
            self.assertIn(each, line)
        ended = run(node.command())
        self.assertEqual(ended.returncode, FENCED_STATUS)
        self.assertIn("is fenced", ended.stderr)

    def put_back(self) -> None:
        """What a restored machine has gone through: a copy of node 3's directory, work, kill -9, and the copy again."""
        self.set(self.third, "old")
        self.third.stop()
        shutil.copytree(self.third.directory, self.copy)
        self.third.start()
        self.cluster.wait_ready()
        self.set(self.third, "new", "newer")
        self.third.kill()
        shutil.rmtree(self.third.directory)
        self.copy.rename(self.third.directory)

    def try_to_write(self) -> list[str]:
        """Write at node 3 from its first moment to its last; what was acknowledged."""
        acknowledged: list[str] = []

        def ended() -> bool:
            key = f"try{len(acknowledged)}"
            try:
                if self.third.call("SET", key, key) == "OK":
                    acknowledged.append(key)
            except Exception:  # whatever went wrong: only an "OK" is a promise
                pass
            assert self.third.process is not None
            return self.third.process.poll() is not None

        wait_until(ended, 15.0, lambda: f"node 3 ends; its log: {self.cluster.tail(self.third)}")
        return acknowledged

    def test_b34_put_back(self) -> None:
        """It is told by its peers that they met a later start, acknowledges nothing, and is fenced."""
        self.put_back()
        self.third.start()
        self.assertEqual(self.try_to_write(), [])
        self.assert_fenced(self.third, "node 3 runs")
        for node in (self.first, self.second):
            refused = [line for line in node.logged("peer_refused") if line["for_good"]]
            self.assertLessEqual({line["peer"] for line in refused}, {3})
        self.assert_all_hold("old", "new", "newer")
        self.set(self.first, "later")

    def test_b34_put_back_with_one_other_node_down(self) -> None:
        """Its vote would make a majority with the node that is up, which has not seen all: it must not count."""
        self.put_back()
        self.second.kill()
        self.first.stop()
        self.first.start()  # what it knows of node 3 is on its disk
        self.third.start()
        self.assertEqual(self.try_to_write(), [])
        self.assert_fenced(self.third, "node 3 runs")
        self.second.start()
        self.cluster.wait_ready()
        self.assert_all_hold("old", "new", "newer")

    def second_third(self, directory: Path) -> RealNode:
        """Node 3 once more: on another directory, with other ports."""
        client, peer, admin = free_ports(3)
        twin = RealNode(self.cluster, 3, client, peer, admin)
        twin.directory = directory
        twin.log_path = self.cluster.directory / "twin.log"
        twin.config_path = self.cluster.directory / "twin.toml"
        config = self.cluster.config_path.read_text()
        for theirs, its in (
            (self.third.port, client),
            (self.third.peer_port, peer),
            (self.third.admin_port, admin),
        ):
            config = config.replace(f':{theirs}"', f':{its}"')
        twin.config_path.write_text(config)
        self.addCleanup(twin.kill)
        return twin

    def test_b34_two_at_once(self) -> None:
        """The same directory, copied and run twice: the one that comes second never takes part."""
        self.set(self.third, "old")
        self.third.stop()
        shutil.copytree(self.third.directory, self.copy)
        self.third.start()
        self.cluster.wait_ready()
        twin = self.second_third(self.copy)
        twin.start()
        self.assert_fenced(twin, "node 3 runs")
        self.set(self.third, "new")
        self.assert_all_hold("old", "new")

    def test_b34_a_copy_of_a_node_that_runs(self) -> None:
        """It knows of the start that is under way, and yet not of its last votes, nor ever of those to come."""
        self.set(self.third, "old")
        shutil.copytree(self.third.directory, self.copy)
        self.set(self.third, "new")
        twin = self.second_third(self.copy)
        twin.start()
        self.assert_fenced(twin, "has forgotten votes")
        self.set(self.third, "newer")
        self.assert_all_hold("old", "new", "newer")


class RestartTest(SynchronousTestCase):
    """What is good must never be taken for a copy."""

    def test_restarts_are_not_refused(self) -> None:
        """Stopped or killed and started again at once, one after the other and all together, every node takes part."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        for node in cluster.nodes:
            self.assertEqual(node.call("SET", f"k{node.number}", "1"), "OK")
            node.kill()
            node.start()
            cluster.wait_ready()
        for node in cluster.nodes:
            node.stop()
            node.start()
            cluster.wait_ready()
        for node in cluster.nodes:
            node.kill()
        cluster.start()
        for node in cluster.nodes:
            self.assertEqual([node.call("GET", f"k{number}") for number in (1, 2, 3)], [b"1"] * 3)
            for event in ("peer_refused", "refused_by_peer", "fenced"):
                self.assertEqual(node.logged(event), [])


class KeyTest(SynchronousTestCase):
    """Two new clusters with the same name must not capture each other's fresh nodes."""

    def wait_refused_by(self, node: RealNode, peers: set[int]) -> None:
        wait_until(
            lambda: {line["peer"] for line in node.logged("refused_by_peer")} >= peers,
            15.0,
            f"node {node.number} is refused",
        )

    def test_another_key(self) -> None:
        """A fresh node that dials another fresh cluster joins nobody, and both sides say so."""
        cluster = RealCluster(settings=QUICK)
        self.addCleanup(cluster.close)
        first, second, third = cluster.nodes
        shutil.rmtree(third.directory)
        ended = run([*third.init_command(), "--cluster-key", CLUSTER_KEY[::-1].hex()])
        self.assertEqual(ended.returncode, 0, ended.stderr)
        for node in cluster.nodes:
            node.start()
        for node, peers in ((first, {3}), (second, {3}), (third, {1, 2})):
            self.wait_refused_by(node, peers)
            self.assertIn("another cluster key", json.dumps(node.logged("refused_by_peer")))
        self.assertFalse(third.serves())
        third.kill()
        shutil.rmtree(third.directory)
        self.assertEqual(run([*third.init_command(), "--cluster-key", CLUSTER_KEY.hex()]).returncode, 0)
        third.start()
        cluster.wait_ready()
