"""Fences in the simulator: a node fences its directory only where that was struck, and it stays out from then on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import FENCE
from dkv.sim.plan import FAULTS
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
        self.assertEqual(self.node.disk.get(FENCE), b"its log differs")
        ends = [event.about for event in self.world.trace.events if event.kind == "ended"]
        self.assertTrue(any("is fenced: its log differs" in reason for reason in ends), ends)
