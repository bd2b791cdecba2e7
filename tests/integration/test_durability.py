"""What is acknowledged is on the disks of a majority: the kernel's word for it, and a power cut."""

from __future__ import annotations

import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import APPLIED_THROUGH, unpack_number
from dkv.storage.data_directory import open_directory
from dkv.storage.log_check import check_log
from tests.integration.processes import RealCluster, RealNode, wait_until

WATCH = Path(__file__).with_name("watch_syncs.py")
CLIENTS = 8
WRITES = 25


class Written(NamedTuple):
    """An acknowledged write: its key, and when it was sent and answered."""

    key: str
    sent: float
    answered: float


class Sync(NamedTuple):
    """One fsync of a node."""

    began: float
    done: float
    path: str
    size: int


class DurabilityTest(SynchronousTestCase):
    """Speed must not be bought with what a power cut takes away."""

    timeout = 180

    def setUp(self) -> None:
        self.cluster = RealCluster(settings="[timings]\nwrite_back_seconds = 0.05\n")
        self.addCleanup(self.cluster.close)
        for node in self.cluster.nodes:
            node.start(sys.executable, str(WATCH), str(self.watched(node)))
        self.cluster.wait_ready()

    def watched(self, node: RealNode) -> Path:
        """Where the fsyncs of a node are written down."""
        return self.cluster.directory / f"syncs{node.number}"

    def syncs(self, node: RealNode) -> list[Sync]:
        """All of them so far; one that is being written down counts later."""
        lines, _, _ = self.watched(node).read_text().rpartition("\n")
        return [Sync(*json.loads(line)) for line in lines.splitlines()]

    def write(self, node: RealNode, name: str) -> list[Written]:
        """Some writes of one client, one after the other."""
        written = []
        connection = node.connect()
        for number in range(WRITES):
            sent = time.monotonic()
            connection.call("SET", f"{name}-{number}", "value")
            written.append(Written(f"{name}-{number}", sent, time.monotonic()))
        connection.close()
        return written

    def write_at_once(self) -> list[Written]:
        """The writes of several clients of all nodes, alone at first, then together."""
        nodes = self.cluster.nodes
        written = [each for node in nodes for each in self.write(node, f"alone{node.number}")]
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(self.write, nodes[client % 3], f"client{client}") for client in range(CLIENTS)]
            for client in clients:
                written += client.result()
        return written

    def test_a_majority_synced_before_the_answer(self) -> None:
        """For every write, two of three nodes began and ended an fsync of their log while its client waited."""
        written = self.write_at_once()
        syncs = [self.syncs(node) for node in self.cluster.nodes]
        self.assertEqual(len(written), (3 + CLIENTS) * WRITES)
        for each in written:
            synced = [
                number
                for number, found in enumerate(syncs, 1)
                if any(
                    each.sent <= sync.began and sync.done <= each.answered and sync.path.endswith(".log")
                    for sync in found
                )
            ]
            self.assertGreaterEqual(len(synced), 2, f"{each} was acknowledged with the fsyncs of nodes {synced}")

    def test_a_power_cut_loses_nothing(self) -> None:
        """All nodes lose power at once, and with it all that they had written and not synced."""
        written = self.write_at_once()
        for node in self.cluster.nodes:
            node.kill()
        for node in self.cluster.nodes:
            synced = {Path(sync.path): sync.size for sync in self.syncs(node)}
            for log in node.directory.rglob("*.log"):
                with log.open("r+b") as file:
                    file.truncate(synced.get(log, 0))
        self.cluster.start()
        for node in self.cluster.nodes:
            connection = node.connect()
            for each in written:
                self.assertEqual(connection.call("GET", each.key), b"value", each.key)
            connection.close()

    def test_a_power_cut_at_any_write_back(self) -> None:
        """The state's own database is synced, and never before the log has the slots that it amounts to."""
        node = self.cluster.nodes[0]

        def written_back() -> bool:
            self.write_at_once()
            return sum(self.is_state(each.path) for each in self.syncs(node)) > 5

        wait_until(written_back, 60.0, "the state is written back six times")
        for each in self.cluster.nodes:
            each.kill()
        syncs = self.syncs(node)
        ends = [sync.done for sync in syncs if self.is_state(sync.path)]
        applied = [self.applied_after_a_cut(node, syncs, end) for end in ends]
        self.assertEqual(applied, sorted(applied))
        self.assertGreater(applied[-1], applied[0])

    @staticmethod
    def is_state(path: str) -> bool:
        """Whether it is the newest log of the state's database."""
        return path.endswith(".log") and "state-" in path

    def applied_after_a_cut(self, node: RealNode, syncs: list[Sync], end: float) -> int:
        """Through which slot the state goes if power was cut at this moment; an error if the node could not start."""
        synced = {each.path: each.size for each in syncs if each.done <= end}
        copy = self.cluster.directory / "cut"
        shutil.copytree(node.directory, copy)
        for log in copy.rglob("*.log"):
            with log.open("r+b") as file:
                file.truncate(synced.get(str(node.directory / log.relative_to(copy)), 0))
        store, states, _ = open_directory(str(copy), "test", node.number, print)
        try:
            check_log(store, states.current)
            return unpack_number(states.current.get(APPLIED_THROUGH))
        finally:
            states.close()
            store.close()
            shutil.rmtree(copy)
