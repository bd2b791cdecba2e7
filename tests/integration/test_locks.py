"""Locks that are taken with SET NX PX, on real nodes: nobody else gets one before its time, and somebody does after it.

A lock is asked for again and again, through all nodes, and the time is taken by the clock of the test.
"""

from __future__ import annotations

import signal
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import RealCluster, RealNode, Refused, wait_until

SECONDS = 60.0
HELD_SECONDS = 6.0


class LockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = RealCluster()
        self.addCleanup(self.cluster.close)
        self.cluster.start()

    def take(self, node: RealNode, holder: str) -> bool:
        """Whether ``holder`` gets the lock through a node; False if that does not answer, or not so."""
        try:
            return bool(node.call("SET", "lock", holder, "NX", "PX", int(HELD_SECONDS * 1000)) == "OK")
        except (OSError, EOFError, Refused):
            return False

    def wait_for_lock(self, began: float) -> float:
        """How long after ``began`` somebody else gets the lock."""
        nodes = [node for node in self.cluster.nodes if node.process is not None]
        wait_until(lambda: any(self.take(node, "another") for node in nodes), SECONDS, "the lock is free")
        return time.monotonic() - began

    def test_through_a_change_of_leader(self) -> None:
        """The next leader knows of the lock, and of the time that has passed."""
        leader = self.cluster.leader()
        began = time.monotonic()
        self.assertTrue(self.take(leader, "one"))
        leader.kill()
        held = self.wait_for_lock(began)
        self.assertGreaterEqual(held, HELD_SECONDS - 0.1)
        self.assertLess(held, HELD_SECONDS + 3.0)

    def test_through_a_restart_of_all_nodes(self) -> None:
        """A lock outlives the processes that keep it, and the time goes on meanwhile."""
        began = time.monotonic()
        self.assertTrue(self.take(self.cluster.nodes[0], "one"))
        for node in self.cluster.nodes:
            node.kill()
        self.cluster.start()
        held = self.wait_for_lock(began)
        self.assertGreaterEqual(held, HELD_SECONDS - 0.1)
        self.assertEqual(self.cluster.nodes[0].call("GET", "lock"), b"another")

    def test_while_all_others_stand_still(self) -> None:
        """A write waits for them meanwhile. It says what time it was: nobody may take that for the time of now."""
        leader = self.cluster.leader()
        others = [node for node in self.cluster.nodes if node is not leader]
        began = time.monotonic()
        self.assertTrue(self.take(leader, "one"))
        for node in others:
            node.signal(signal.SIGSTOP)
        writer = leader.connect()
        self.addCleanup(writer.close)
        writer.send("SET", "another", "key")
        wait_until(lambda: time.monotonic() - began > HELD_SECONDS - 1, SECONDS, "nearly all of its time has passed")
        for node in others:
            node.signal(signal.SIGCONT)
        held = self.wait_for_lock(began)
        self.assertGreaterEqual(held, HELD_SECONDS - 0.1)
        self.assertLess(held, HELD_SECONDS + 3.0)

    def test_no_holder_extends_it_by_being_asked(self) -> None:
        """Those who ask in vain change nothing, and the one who has it may keep it."""
        self.assertTrue(self.take(self.cluster.nodes[0], "one"))
        self.assertFalse(self.take(self.cluster.nodes[1], "two"))
        left = self.cluster.nodes[2].call("PTTL", "lock")
        self.assertTrue(0 < left <= HELD_SECONDS * 1000, left)
        self.assertEqual(self.cluster.nodes[2].call("SET", "lock", "one", "IFEQ", "one", "PX", 60_000), "OK")
        self.assertGreater(self.cluster.nodes[1].call("PTTL", "lock"), HELD_SECONDS * 1000)
        self.assertIsNone(self.cluster.nodes[1].call("SET", "lock", "two", "IFEQ", "two", "PX", 60_000))

    def test_what_is_left_falls_while_nobody_writes(self) -> None:
        """The holder of a lock asks how long it still has it, and nothing else happens in the cluster."""
        self.assertTrue(self.take(self.cluster.nodes[0], "one"))
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began >= 1.0, SECONDS, "a second has passed")
        for node in self.cluster.nodes:
            most = (HELD_SECONDS - (time.monotonic() - began)) * 1000
            left = node.call("PTTL", "lock")
            self.assertTrue(0 < left <= most + 100, (left, most))
