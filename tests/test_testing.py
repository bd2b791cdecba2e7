"""The simulated cluster that users test with does what it says, always the same."""

from __future__ import annotations

import re
import unittest
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.sim.invariants import Invariants
from dkv.testing import InvariantBroken, NoAnswer, Refused, SimulatedCluster


class ClusterTests(SynchronousTestCase):
    def test_the_example(self) -> None:
        """What the documentation shows works as it is."""
        cluster = SimulatedCluster(seed=1)
        cluster.put(b"x", b"1")
        cluster.crash(cluster.leader())
        self.assertEqual(cluster.get(b"x"), b"1")

    def test_requests(self) -> None:
        """Each request answers what a real node would."""
        for mode in ("leader", "classic"):
            cluster = SimulatedCluster(5, seed=3, mode=mode)
            cluster.put(b"k", b"v", node=1)
            self.assertEqual([cluster.get(b"k", node=node) for node in range(1, 6)], [b"v"] * 5)
            self.assertEqual(cluster.append(b"k", b"w", node=4), 2)
            self.assertEqual([cluster.delete(b"k"), cluster.delete(b"k"), cluster.get(b"k")], [True, False, None])
            cluster.check()

    def test_a_partition(self) -> None:
        """The majority serves, the rest refuses; afterwards all agree."""
        cluster = SimulatedCluster(seed=2)
        cluster.partition([1], [2, 3])
        self.assertRaises(Refused, cluster.get, b"x", node=1)
        cluster.wait_until_serving(2)
        cluster.put(b"x", b"majority", node=2)
        cluster.heal()
        cluster.wait_until_serving(1)
        self.assertEqual(cluster.get(b"x", node=1), b"majority")
        cluster.check()

    def test_who_is_in_no_side_is_alone(self) -> None:
        """One word is enough to cut one node off."""
        cluster = SimulatedCluster(seed=2)
        cluster.partition([1, 2])
        error = self.assertRaises(Refused, cluster.put, b"x", b"1", node=3)
        self.assertIn(error.word, ("CLUSTERDOWN", "TRYAGAIN", "UNCERTAIN"))

    def test_all_crash(self) -> None:
        """What was acknowledged is there after kill -9 of all nodes."""
        cluster = SimulatedCluster(seed=4)
        cluster.put(b"x", b"1")
        for node in (1, 2, 3):
            cluster.crash(node)
        self.assertRaises(NoAnswer, cluster.get, b"x")
        for node in (1, 2, 3):
            cluster.restart(node)
        for node in (1, 2, 3):
            cluster.wait_until_serving(node)
            self.assertEqual(cluster.get(b"x", node=node), b"1")

    def test_an_answer_that_never_comes(self) -> None:
        """A node that is killed in the middle leaves the question open, and the history knows."""
        cluster = SimulatedCluster(seed=5)
        node = cluster.leader()
        pending = cluster.send(b"append", b"x", b"1", node=node)
        self.assertFalse(pending.answered)
        cluster.crash(node)
        cluster.run(5.0)
        self.assertRaises(NoAnswer, pending.result)
        self.assertIn(cluster.get(b"x"), (None, b"1"))
        cluster.check()

    def test_the_same_seed_is_the_same_run(self) -> None:
        """A test that fails, fails every time."""

        def story(seed: int) -> tuple[float, int]:
            cluster = SimulatedCluster(seed=seed)
            leader = cluster.leader()
            cluster.crash(leader)
            cluster.put(b"x", b"1", node=leader % 3 + 1)
            return cluster.now, leader

        self.assertEqual(story(7), story(7))
        self.assertNotEqual(story(7), story(8))

    def test_mistakes(self) -> None:
        """A test's own mistake is said at once."""
        cluster = SimulatedCluster(seed=1)
        for words in ((b"incr", b"x"), (b"put", b"x"), (b"delete", b"x", b"y"), (b"get",)):
            self.assertRaises(ValueError, cluster.call, *words)
        self.assertRaises(ValueError, cluster.crash, 4)
        self.assertRaises(ValueError, cluster.restart, 1)

    def test_a_broken_promise(self) -> None:
        """A bug of dkv itself fails the test that meets it, with the seed."""
        cluster = SimulatedCluster(seed=9)

        def complain(self: Invariants, *_: object) -> None:
            self._violated("I9: something is wrong")

        with patch.object(Invariants, "durable", complain):
            error = self.assertRaises(InvariantBroken, cluster.put, b"x", b"1")
        self.assertEqual(str(error), "seed 9: I9: something is wrong")


class DocumentationTests(SynchronousTestCase):
    def test_the_page(self) -> None:
        """Whoever copies the example of docs/testing.md has tests that pass."""
        page = (Path(__file__).resolve().parents[1] / "docs" / "testing.md").read_text(encoding="utf-8")
        (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        namespace: dict[str, Any] = {"__name__": "example"}
        exec(code, namespace)
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(namespace["CounterTests"]).run(result)
        self.assertEqual((result.testsRun, result.errors, result.failures), (2, [], []))
