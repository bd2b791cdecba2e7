"""Faults that set directories back: the node that is struck ends for good, and nobody else is hurt."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import FENCE
from dkv.sim.plan import FAULTS
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.world import World
from tests.sim.hunt import HuntTestCase
from tests.sim.planted_copies import COPIES

FEW_FAULTS = frozenset(("clone", "crash", "lying-disk", "old-copy"))
SEEDS = 100


class CopiesTests(SynchronousTestCase):
    """Three nodes and nothing wrong with them, until node 2 is struck."""

    def setUp(self) -> None:
        self.world = World(3, 3, 60.0, frozenset())
        self.node = self.world.nodes[1]
        for node in self.world.nodes:
            node.start()
        self.world.crowd.begin()
        self.run_on(3.0)

    def run_on(self, seconds: float) -> None:
        self.world.run(seconds)
        self.assertIsNone(self.world.violation)

    def strike(self, kind: str, seconds: float = 30.0) -> None:
        """Let the fault take its course."""
        strikes: dict[str, Callable[[SimulatedNode], None]] = self.world.faults._strikes
        strikes[kind](self.node)
        self.run_on(seconds)

    def told(self, kind: str) -> list[str]:
        return [str(event.about) for event in self.world.trace.events if event.kind == kind]

    def assert_fenced(self, words: str) -> None:
        """The node was set back once; it has ended, and every later start is refused."""
        self.assertEqual(len(self.told("set back")), 1)
        ends = self.told("ended")
        self.assertIn(words, ends[0])
        self.assertTrue(all("is fenced" in end for end in ends[1:]), ends)
        self.assertGreater(len(ends), 1)
        self.assertFalse(self.node.up)
        self.assertIsNotNone(self.node.disk.log.get(FENCE))

    def test_b34_an_older_copy(self) -> None:
        """Put back, it does not know of the start that came after it."""
        self.strike("old-copy")
        self.assert_fenced("node 2 runs")

    def test_b34_a_lying_disk(self) -> None:
        """Its last votes are gone, in the life that cast them."""
        self.strike("lying-disk")
        self.assert_fenced("node 2 has forgotten votes")

    def test_b34_a_clone(self) -> None:
        """Beside the node whose directory it was copied from, which goes on as if nothing were."""
        self.strike("clone", 8.0)
        told = self.told("clone")
        self.assertIn("starts beside", told[0])
        self.assertIn("the node is fenced", told[1])
        self.assertTrue(self.node.up)
        self.assertFalse(self.node.damaged)

    def test_nobody_is_struck_whom_nobody_could_find(self) -> None:
        """Where the others know nothing that the copy lacks, the product is not to blame: no copy is put back."""
        self.world.crowd.stopped = True
        self.run_on(10.0)
        for other in (self.world.nodes[0], self.world.nodes[2]):
            other.crash()
        self.strike("old-copy")
        self.assertEqual(self.told("set back"), [])
        self.assertFalse(self.node.damaged)

    def test_a_second_one_is_spared(self) -> None:
        """Two that were set back might know nothing of each other."""
        self.strike("old-copy")
        self.world.faults._strikes["old-copy"](self.world.nodes[0])
        self.run_on(30.0)
        self.assertEqual([node.damaged for node in self.world.nodes], [False, True, False])

    def test_all_faults_are_there(self) -> None:
        """A fault that the plan does not draw never strikes."""
        self.assertLessEqual({"clone", "lying-disk", "old-copy"}, set(FAULTS))


class PlantedTests(HuntTestCase):
    """A node that lets such a directory in counts votes that are none."""

    def check(self, number: str) -> None:
        """The bug is found: what was set back voted, or led. Few faults, so that each run strikes soon."""
        words = (
            "its disk was lost",
            "quorum",
            "takes a copy",
            "a later start has taken its place",
            "used by two lives of a node",
        )
        self.check_found(number, COPIES[number], words, faults=FEW_FAULTS, within=SEEDS)

    def test_all(self) -> None:
        """A planted bug without a test here would prove nothing."""
        self.assertEqual(sorted(COPIES), ["B34", "B34b", "B34c", "B34d"])

    def test_b34_starts_not_asked_for(self) -> None:
        """A copy that was put back, with a vote as good as any."""
        self.check("B34")

    def test_b34_votes_not_compared(self) -> None:
        """An acceptor whose disk lied, and that votes against its own promise."""
        self.check("B34b")

    def test_b34_votes_that_nobody_counts(self) -> None:
        """A lost vote of which the disk's other marks show nothing."""
        self.check("B34d")

    def test_b34_forgotten_by_a_restart(self) -> None:
        """Knowledge of a member that is only in memory lets its older copy in after the next restart."""
        self.check("B34c")
