"""Deadlines in whole clusters: what a user of a lock counts on, in both modes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.codes import EXISTS, SET
from dkv.replies import OK
from dkv.settings import CLASSIC, LEADER
from tests.memory_cluster import EPOCH_MS, MemoryCluster, Node

RELATIVE = 2
HOUR_SECONDS = 3_600.0
MODES = (LEADER, CLASSIC)


class DeadlineTests(SynchronousTestCase):
    timeout = 300

    def begin(self, mode: str) -> None:
        """Three nodes at work, whose clocks show the true time."""
        self.cluster = MemoryCluster(mode=mode)
        self.cluster.run(3.0)

    def set(self, node: Node, seconds: float) -> None:
        """A lock."""
        lock = (SET, 0, 1 << 20, b"lock", b"mine", 0, b"", RELATIVE, round(seconds * 1000), 0)
        self.assertEqual(self.cluster.call(node, *lock), OK)

    def held(self, node: Node) -> bool:
        """Whether anybody could take it; asking moves the time."""
        return bool(self.cluster.call(node, EXISTS, 0, 1 << 20, b"lock", seconds=30.0))

    def test_gone_though_nobody_writes(self) -> None:
        """On every node, soon after its deadline and not before; then the cluster is silent."""
        for mode in MODES:
            self.begin(mode)
            self.set(self.cluster.nodes[2], 5.0)
            self.cluster.run(4.7)
            self.assertEqual([len(node.state()) for node in self.cluster.nodes.values()], [1, 1, 1], mode)
            self.cluster.run(1.5)
            self.assertEqual([node.state() for node in self.cluster.nodes.values()], [{}, {}, {}], mode)
            self.cluster.run(5.0)
            commits = [node.store.commits for node in self.cluster.nodes.values()]
            self.cluster.run(30.0)
            self.assertEqual([node.store.commits for node in self.cluster.nodes.values()], commits, mode)

    def test_held_through_a_change_of_leader(self) -> None:
        """Whoever leads next knows what time it is."""
        self.begin(LEADER)
        leader = self.cluster.wait_for_leader()
        self.set(leader, 20.0)
        leader.crash()
        self.cluster.run(15.0)
        other = self.cluster.wait_for_leader()
        self.assertIsNot(other, leader)
        self.assertTrue(self.held(other))
        self.cluster.run(7.0)
        self.assertFalse(self.held(other))

    def test_held_through_a_restart_of_all(self) -> None:
        """And what passes while all are down counts."""
        for mode in MODES:
            for down, left in ((5.0, True), (HOUR_SECONDS, False)):
                self.begin(mode)
                self.set(self.cluster.nodes[1], 60.0)
                self.restart(down)
                self.assertEqual(self.held(self.cluster.nodes[3]), left, mode)

    def restart(self, down: float) -> None:
        """All nodes are down for so many seconds, and have been up for some seconds after that."""
        for node in self.cluster.nodes.values():
            node.crash()
        self.cluster.run(down)
        for node in self.cluster.nodes.values():
            node.start()
        self.cluster.run(5.0)

    def test_one_wrong_clock(self) -> None:
        """Set ahead or back by hours, while the nodes run or while they are down: no lock is lost, none stays."""
        for mode in MODES:
            for wrong in (-5 * HOUR_SECONDS, 5 * HOUR_SECONDS):
                for number in (1, 2, 3):
                    self.begin(mode)
                    self.set(self.cluster.nodes[1], 60.0)
                    self.cluster.nodes[number].wrong_ms = round(wrong * 1000)
                    self.restart(5.0)
                    self.cluster.nodes[number].wrong_ms = -round(wrong * 1000)
                    self.cluster.run(10.0)
                    what = f"{mode}, node {number} is wrong by {wrong} s"
                    self.assertTrue(self.held(self.cluster.nodes[number % 3 + 1]), what)
                    self.cluster.run(60.0)
                    self.assertFalse(self.held(self.cluster.nodes[number % 3 + 1]), what)

    def test_clocks_that_were_not_set(self) -> None:
        """After a power cut all machines begin in 1970, and are set while the nodes run: no lock is lost by it."""
        for mode in MODES:
            self.begin(mode)
            self.set(self.cluster.nodes[1], HOUR_SECONDS)
            for node in self.cluster.nodes.values():
                node.wrong_ms = -EPOCH_MS
            self.restart(5.0)
            self.assertTrue(self.held(self.cluster.nodes[1]), mode)
            for node in self.cluster.nodes.values():
                node.wrong_ms = 0
            self.cluster.run(20.0)
            self.assertTrue(self.held(self.cluster.nodes[2]), mode)
            self.cluster.run(HOUR_SECONDS)
            self.assertFalse(self.held(self.cluster.nodes[3]), mode)

    def test_clocks_that_are_set_back(self) -> None:
        """The time goes slower then, and the slot that passes a deadline comes when it is there: one, or a few."""
        for mode in MODES:
            self.begin(mode)
            self.set(self.cluster.nodes[1], 200.0)
            for node in self.cluster.nodes.values():
                node.wrong_ms = -round(HOUR_SECONDS * 1000)
            self.cluster.run(5.0)
            commits = sum(node.store.commits for node in self.cluster.nodes.values())
            self.cluster.run(215.0)
            self.assertEqual([node.state() for node in self.cluster.nodes.values()], [{}, {}, {}], mode)
            self.assertLess(sum(node.store.commits for node in self.cluster.nodes.values()), commits + 100, mode)
