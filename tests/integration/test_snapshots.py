"""A node that was away for longer than its peers keep their logs: it gets the state of one of them, on real disks."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import CLASSIC, LEADER
from tests.integration.processes import Connection, RealCluster, RealNode, wait_until

SETTINGS = """
[limits]
poll_lag_slots_max = 20
log_tail_slots_max = 20
snapshot_chunk_bytes_max = 20000
snapshot_bytes_per_second = 400000

[timings]
write_back_seconds = 0.1
"""
KEYS = 600
VALUE = "v" * 1_000


def status(node: RealNode) -> dict[str, Any]:
    """What the node says of itself."""
    fields: dict[str, Any] = json.loads(node.call("DKV.STATUS"))
    return fields


class SnapshotTests(SynchronousTestCase):
    def begin(self, mode: str) -> tuple[RealCluster, RealNode]:
        """A cluster, and a node of it that does not lead and was away for long."""
        cluster = RealCluster(settings=SETTINGS, mode=mode)
        self.addCleanup(cluster.close)
        cluster.start()
        away = next(node for node in cluster.nodes if mode == CLASSIC or node is not cluster.leader())
        away.call("PUT", "old", "value")
        away.call("IDMP", "p", 1, "APPEND", "log", "once.")
        away.kill()
        connection = self.one_of_the_others(cluster, away).connect()
        self.write(connection, "first")
        for other in cluster.nodes:
            if other is not away:
                wait_until(partial(self.is_compacted, other), 20.0, f"node {other.number} has compacted")
        connection.call("DELETE", "old")
        connection.close()
        return cluster, away

    def one_of_the_others(self, cluster: RealCluster, away: RealNode) -> RealNode:
        """A node that has not been away."""
        return next(node for node in cluster.nodes if node is not away)

    def write(self, connection: Connection, word: str) -> None:
        """Values for all keys, one slot after the other."""
        for number in range(KEYS):
            connection.send("PUT", f"{word}{number}", VALUE)
            if number % 20 == 19:
                for _ in range(20):
                    connection.read()

    def is_compacted(self, node: RealNode) -> bool:
        """Whether its log begins behind what the other node missed."""
        return int(status(node)["compacted_through"]) > 10

    def check(self, node: RealNode) -> None:
        """The node answers as one that was never away: values, deletions and tokens."""
        self.assertIsNone(node.call("GET", "old"))
        self.assertEqual(node.call("IDMP", "p", 1, "APPEND", "log", "once."), 5)
        self.assertEqual(node.call("GET", "log"), b"once.")
        for number in (0, KEYS // 2, KEYS - 1):
            self.assertEqual(node.call("GET", f"first{number}"), VALUE.encode())
        self.assertEqual(node.call("PUT", "new", "value"), "OK")

    def installed(self, node: RealNode, times: int = 1) -> bool:
        """Whether that many snapshots came into force there."""
        return len(node.logged("snapshot_installed")) >= times

    def test_a_node_that_was_away(self) -> None:
        """It catches up by itself, while clients are served; its directory is good for the next start."""
        cluster, away = self.begin(LEADER)
        away.start()
        wait_until(lambda: self.installed(away), 30.0, lambda: f"a snapshot is in force: {cluster.tail(away)}")
        cluster.wait_ready()
        self.check(away)
        away.stop()
        away.start()
        cluster.wait_ready()
        self.check(away)
        self.assertEqual(sum("digest_differs" in line["event"] for line in away.log_lines()), 0)

    def test_killed_in_the_middle(self) -> None:
        """The old state is in force until the new one is whole; the next life begins a snapshot of its own."""
        cluster, away = self.begin(LEADER)
        away.start()
        wait_until(lambda: away.logged("snapshot_receiving"), 30.0, "a snapshot is under way")
        away.kill()
        self.assertFalse(self.installed(away))
        away.start()
        wait_until(lambda: self.installed(away), 30.0, lambda: f"a snapshot is in force: {cluster.tail(away)}")
        cluster.wait_ready()
        self.check(away)
        wait_until(lambda: len(list(away.directory.glob("state-*"))) == 1, 30.0, "the old state is erased")

    def test_the_donor_dies(self) -> None:
        """It goes on with the other peer, from the beginning: another moment, another generation."""
        cluster, away = self.begin(CLASSIC)
        away.start()
        (first,) = wait_until(lambda: away.logged("snapshot_receiving"), 30.0, "a snapshot is under way")
        donor = cluster.nodes[int(first["peer"]) - 1]
        donor.kill()
        wait_until(lambda: self.installed(away), 40.0, lambda: f"a snapshot is in force: {cluster.tail(away)}")
        self.assertNotEqual(away.logged("snapshot_receiving")[-1]["peer"], donor.number)
        cluster.wait_ready()
        self.check(away)
