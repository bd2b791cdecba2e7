"""Fences in the simulator: a node fences its directory only where that was struck, and it stays out from then on."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import FENCE
from dkv.paxos import digests
from dkv.paxos.learner import Learner
from dkv.records import NOOP, Batch, Value
from dkv.settings import CLASSIC, LEADER
from dkv.sim.plan import FAULTS
from dkv.sim.run import Outcome, run
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.world import World


class FenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(1, 3, 10.0, frozenset(FAULTS) - {"lost-disk", "flipped-byte"})
        self.node = self.world.nodes[0]
        for node in self.world.nodes:
            node.start()
        self.assertTrue(self.world.run(2.0))

    def fence(self) -> None:
        """Node 1 finds its directory to be wrong."""
        self.node.host.fence("its log differs")
        self.world.run(2.0)

    def test_without_a_reason(self) -> None:
        """A correct product that fences a whole directory loses a node for nothing, one after the other."""
        self.fence()
        self.assertIn("Fenced: its log differs", self.world.violation or "")

    def test_struck(self) -> None:
        """A node whose disk was struck may end so; started again by somebody, it must stay out."""
        self.node.damaged = True
        self.fence()
        self.world.run(10.0)
        self.assertIsNone(self.world.violation)
        self.assertFalse(self.node.up)
        self.assertEqual(self.node.disk.log.get(FENCE), b"its log differs")
        ends = [event.about for event in self.world.trace.events if event.kind == "ended"]
        self.assertTrue(any("is fenced: its log differs" in reason for reason in ends), ends)


class DivergenceTests(SynchronousTestCase):
    """One node's learner applies another value than the chosen one, as a bug or bad memory would have it."""

    SLOT = 4

    def run_with(self, seed: int, bad: Value | None, mode: str) -> tuple[Outcome, bool, str]:
        """A run in which node 1 applies ``bad`` for a slot, or leaves that out; whether it did, and the trace."""
        apply, struck, trace = Learner._apply, [], StringIO()

        def apply_badly(learner: Learner, turn: Any, value: Value) -> None:
            if learner._identity.node == 1 and learner._applied_through + 1 == self.SLOT:
                struck.append(value not in (bad, NOOP))
                value = NOOP if bad is None else bad
            apply(learner, turn, value)

        faults = frozenset(("crash", "partition", "pause", "delay", "slow-disk")) if seed % 2 else frozenset[str]()
        damaged = property(lambda node: node.number == 1, lambda node, value: None)
        with patch.object(Learner, "_apply", apply_badly), patch.object(SimulatedNode, "damaged", damaged, create=True):
            outcome = run(seed, 3 + seed % 3 // 2 * 2, 10.0, faults, trace, mode)
        return outcome, any(struck), trace.getvalue()

    def check(self, mode: str, bad: Value | None) -> None:
        """Each run ends with the fence of that node, or finds what it answered; nobody else gives up."""
        fenced = 0
        for seed in range(3, 11):
            outcome, struck, trace = self.run_with(seed, bad, mode)
            fences = set(re.findall("node ([0-9]) +ended .*is not what nodes", trace))
            self.assertLessEqual(fences, {"1"})
            fenced += bool(fences)
            if seed % 2 == 0:
                self.assertTrue(fences or outcome.violation or not struck, f"seed {seed}")
        self.assertGreater(fenced, 3)

    def test_b38_one_is_enough(self) -> None:
        """Planted: a node that differs from any other gives up. The good ones do, and that is found."""
        with patch.object(digests.Digests, "_must_be_wrong", lambda self: bool(self._differing)):
            outcomes = [self.run_with(seed, None, LEADER)[0] for seed in (4, 8, 10)]
        found = [outcome.violation for outcome in outcomes if outcome.violation is not None]
        self.assertTrue(found and all("Fenced" in violation for violation in found), found)

    def test_b38_nobody_compares(self) -> None:
        """Planted: digests are not told. The node goes on, and its clients are told what no store would show."""
        with patch.object(digests.Digests, "tell", lambda self, turn, node: None):
            outcomes = [self.run_with(seed, None, LEADER)[0] for seed in (6, 12, 16)]
        found = [outcome.violation for outcome in outcomes if outcome.violation is not None]
        self.assertTrue(any("the results of batch" in violation for violation in found), found)

    def test_b38_left_out(self) -> None:
        """A write that one node alone never applied."""
        self.check(LEADER, None)

    def test_b38_altered(self) -> None:
        """A value that one node alone took for chosen."""
        self.check(CLASSIC, Value((Batch(9, 9, 1, 1, b""),)))
