"""kill -9 at any moment loses nothing that was acknowledged, and a dead leader is a pause."""

from __future__ import annotations

import signal
import time

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import LEADER
from tests.integration.load import Writer, missing
from tests.integration.processes import RealCluster, RealNode, Refused, wait_until

REQUEST_SECONDS = 2.0
"""Where a test waits until requests are given up."""


def acknowledge(writers: list[Writer], more: int) -> None:
    """Wait until every writer that is not broken has ``more`` further acknowledgements."""
    goals = [(writer, len(writer.acknowledged) + more) for writer in writers]
    wait_until(
        lambda: all(writer.broken or len(writer.acknowledged) >= goal for writer, goal in goals),
        20.0,
        f"{more} more writes acknowledged to each client",
    )


class CrashTest(SynchronousTestCase):
    """A user loses acknowledged data, or waits too long, if one of these fails."""

    def setUp(self) -> None:
        self.cluster = RealCluster()
        self.addCleanup(self.cluster.close)
        self.cluster.start()

    def writers(self) -> list[Writer]:
        writers = [Writer(node, f"w{node.number}{letter}") for node in self.cluster.nodes for letter in "ab"]
        for writer in writers:
            self.addCleanup(writer.stop)
        return writers

    def test_killed_leader_is_a_pause(self) -> None:
        """Writes through the other nodes go on within 1.5 s, without an error; nothing acknowledged is lost."""
        leader = self.cluster.leader()
        writers = self.writers()
        acknowledge(writers, 20)
        leader.kill()
        survivors = [writer for writer in writers if writer.node is not leader]
        acknowledge(survivors, 20)
        for writer in writers:
            writer.stop()
        for writer in survivors:
            self.assertEqual(writer.errors, [])
            self.assertFalse(writer.broken)
            self.assertLess(writer.longest_pause(), 1.5)
        leader.start()
        self.cluster.wait_ready()
        for node in self.cluster.nodes:
            self.assertEqual(missing(node, writers), [], f"node {node.number}")

    def test_each_node_killed_in_turn_under_load(self) -> None:
        """Three kills, each followed by a restart while the load goes on: nothing acknowledged is lost."""
        all_writers = []
        for victim in self.cluster.nodes:
            writers = self.writers()
            all_writers += writers
            acknowledge(writers, 10)
            victim.kill()
            acknowledge(writers, 10)
            victim.start()
            self.cluster.wait_ready()
            for writer in writers:
                writer.stop()
                self.assertEqual(writer.errors, [])
        for node in self.cluster.nodes:
            self.assertEqual(missing(node, all_writers), [], f"node {node.number}")

    def test_all_killed_at_once(self) -> None:
        """After kill -9 of all three under load and a restart, everything acknowledged is there."""
        writers = self.writers()
        acknowledge(writers, 30)
        for node in self.cluster.nodes:
            node.signal(signal.SIGKILL)
        for node in self.cluster.nodes:
            node.kill()
        for writer in writers:
            writer.stop()
        for node in self.cluster.nodes:
            node.start()
        self.cluster.wait_ready()
        for node in self.cluster.nodes:
            self.assertEqual(missing(node, writers), [], f"node {node.number}")

    def test_a_node_that_was_down_catches_up(self) -> None:
        """A node that missed thousands of slots fetches them all by itself, in several answers."""
        absent = next(node for node in self.cluster.nodes if node is not self.cluster.leader())
        absent.kill()
        other = next(node for node in self.cluster.nodes if node is not absent)
        connection = other.connect()
        for number in range(3000):  # one at a time, so that each has a slot of its own
            connection.call("PUT", f"k{number}", b"x" * 1000)
        connection.close()
        absent.start()
        wait_until(absent.serves, 30.0, "the node serves again")
        connection = absent.connect()
        for number in range(0, 3000, 7):
            self.assertEqual(connection.call("GET", f"k{number}"), b"x" * 1000)
        self.assertGreaterEqual(sum(line["slots"] for line in absent.logged("catchup_ended")), 3000)
        connection.close()

    def test_a_frozen_leader_serves_no_stale_read(self) -> None:
        """SIGSTOP for ten seconds, resumed while others have gone on: the read that was waiting is not an old value."""
        leader = self.cluster.leader()
        others = [node for node in self.cluster.nodes if node is not leader]
        self.assertEqual(leader.call("PUT", "x", "old"), "OK")
        reader = leader.connect(seconds=30.0)
        leader.signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        reader.send("GET", "x")
        wait_until(lambda: self._written(others[0]), 10.0, "the others write")
        wait_until(lambda: time.monotonic() - stopped_at > 10.0, 11.0, "ten seconds have passed")
        leader.signal(signal.SIGCONT)
        self.assertEqual(reader.read(), b"new")
        reader.close()

    def _written(self, node: RealNode) -> bool:
        try:
            return bool(node.call("PUT", "x", "new") == "OK")
        except Refused:
            return False


class MinorityTest(SynchronousTestCase):
    """A user writes into the void, or waits for ever, if this fails."""

    mode = LEADER

    def test_two_nodes_down(self) -> None:
        """A minority acknowledges nothing and shows nothing, says so within the timeout, and recovers."""
        cluster = RealCluster(settings=f"[timings]\nrequest_seconds = {REQUEST_SECONDS}\n", mode=self.mode)
        self.addCleanup(cluster.close)
        cluster.start()
        survivor, *others = cluster.nodes
        self.assertEqual(survivor.call("PUT", "before", "1"), "OK")
        for node in others:
            node.kill()
        for request in (["PUT", "during", "1"], ["GET", "before"]):
            began = time.monotonic()
            refusal = self.assertRaises(Refused, survivor.call, *request)
            self.assertIn(str(refusal).split()[0], ("CLUSTERDOWN", "TRYAGAIN", "UNCERTAIN"))
            if request[0] == "GET":
                self.assertNotIn("UNCERTAIN", str(refusal))
            self.assertLess(time.monotonic() - began, REQUEST_SECONDS + 1.5)
        others[0].start()
        wait_until(survivor.serves, 15.0, "one node has returned")
        self.assertEqual(survivor.call("GET", "before"), b"1")
        self.assertEqual(survivor.call("PUT", "after", "1"), "OK")
        self.assertEqual(others[0].call("GET", "after"), b"1")


class RepeatedFailoverTest(SynchronousTestCase):
    """A user waits longer than the README says if this fails."""

    def test_median_failover(self) -> None:
        """Five leaders killed in turn: the median pause of the survivors' clients is at most one second."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        pauses = []
        for round_ in range(5):
            leader = cluster.leader()
            writers = [Writer(node, f"r{round_}-{node.number}") for node in cluster.nodes if node is not leader]
            for writer in writers:
                self.addCleanup(writer.stop)
            acknowledge(writers, 20)
            leader.kill()
            acknowledge(writers, 20)
            for writer in writers:
                writer.stop()
                self.assertEqual(writer.errors, [])
            pauses.append(max(writer.longest_pause() for writer in writers))
            leader.start()
            cluster.wait_ready()
        self.assertLessEqual(sorted(pauses)[2], 1.0, pauses)
        self.assertLessEqual(max(pauses), 1.5, pauses)
