"""Whole nodes under random faults: histories stay linearizable, and after the faults everything finishes."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.commands import GET
from dkv.replies import Error
from dkv.settings import Limits
from tests.memory_cluster import MemoryCluster, Node
from tests.scenarios.appends import KEYS, Clients, violations

SMALL = Limits(window_slots_max=2, batches_outstanding_max=2, catchup_bytes_max=200, write_back_bytes_max=2_000)
FAULTS = ("crash", "crash", "start", "start", "isolate", "cut", "one way", "heal", "stick", "free")


class FaultyRun:
    """One cluster of 3 or 5, one seed: faults of every kind drawn from it for some simulated seconds, then none."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        size = 3 if self.random.random() < 0.7 else 5
        limits = SMALL if self.random.random() < 0.5 else Limits()
        self.cluster = MemoryCluster(size, seed, limits)
        self.cluster.commit_seconds = self.random.choice([0.001, 0.01, 0.1])
        self.cluster.loss = self.random.choice([0.0, 0.01, 0.1])
        self.clients = Clients(self.cluster, self.random)
        self.fault_rate = self.random.choice([0.002, 0.01, 0.05])

    def run(self, seconds: float) -> None:
        """The faulty phase, then healing: every request must be answered and every node must hold the same."""
        until = self.cluster.clock.seconds() + seconds
        while self.cluster.clock.seconds() < until:
            self.clients.poke()
            if self.random.random() < self.fault_rate:
                self._fault()
            self.cluster.run(self.random.uniform(0.0, 0.02))
        self._heal()

    def _fault(self) -> None:
        cluster, random = self.cluster, self.random
        node = random.choice(list(cluster.nodes.values()))
        fault = random.choice(FAULTS)
        if fault == "crash" and node.up:
            self._crash(node)
        elif fault == "start" and not node.up:
            node.start()
        elif fault == "isolate":
            cluster.isolate(node.number)
        elif fault in ("cut", "one way"):
            other = random.choice([number for number in cluster.numbers if number != node.number])
            cluster.cut(node.number, other, both=fault == "cut")
        elif fault == "heal":
            cluster.heal()
        elif fault == "stick":
            node.store.stick()
        elif fault == "free":
            node.store.free()

    def _crash(self, node: Node) -> None:
        self.clients.poke()
        self.clients.forget(node)
        node.crash()

    def _heal(self) -> None:
        cluster = self.cluster
        cluster.loss = 0.0
        for node in cluster.nodes.values():
            node.store.free()
            if not node.up and node.failure is None:
                node.start()
        cluster.heal()
        cluster.until(self.clients.collect, 60.0)
        for node in cluster.nodes.values():
            for key in KEYS:
                self._read_until_answered(node, key)
        cluster.run(2.0)

    def _read_until_answered(self, node: Node, key: bytes) -> None:
        for _ in range(10):
            if not isinstance(self.cluster.call(node, GET, key), Error):
                return
            self.cluster.run(0.5)
        raise AssertionError(f"node {node.number} serves no reads after healing")


class FaultsTest(SynchronousTestCase):
    """A user loses data or sees the past if one of these seeds fails."""

    def check(self, seed: int) -> None:
        run = FaultyRun(seed)
        run.run(20.0)
        for node in run.cluster.nodes.values():
            self.assertIsNone(node.failure, f"seed {seed}: node {node.number} ended")
        self.assertEqual(violations(run.clients.operations), [], f"seed {seed}")
        states = [node.state() for node in run.cluster.nodes.values()]
        for state in states:
            self.assertEqual(state, states[0], f"seed {seed}: the nodes differ after healing")

    def test_seeds(self) -> None:
        """Clusters of three and five, with small limits and large ones."""
        for seed in range(40):
            self.check(seed)
