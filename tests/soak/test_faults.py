from __future__ import annotations

from itertools import pairwise
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.soak.faults import KINDS, Fault, draw, shares


class PlanTests(SynchronousTestCase):
    """The plan of a phase is drawn from its seed."""

    def test_a_seed_is_a_plan(self) -> None:
        """Somebody who has a seed of a failure meets the same faults."""
        one, same, other = (draw(Random(seed), (1, 2, 4), 20.0, disks=True, behind=True) for seed in ("a", "a", "b"))
        self.assertEqual(one, same)
        self.assertNotEqual(one, other)

    def test_all_faults_end_with_the_phase(self) -> None:
        """Calm begins when nothing is wrong any more."""
        for seed in range(50):
            for fault in draw(Random(seed), (1, 2, 3, 4, 5), 10.0, disks=True, behind=True):
                self.assertGreater(fault.seconds, 0.0)
                self.assertLessEqual(fault.at + fault.seconds, 10.0 + 1e-9)
                self.assertTrue({*fault.nodes} <= {1, 2, 3, 4, 5})

    def test_every_kind_is_drawn(self) -> None:
        """A fault that never strikes finds nothing."""
        drawn = self.drawn(disks=True, behind=True)
        self.assertEqual(drawn, set(KINDS))

    def drawn(self, *, disks: bool, behind: bool) -> set[str]:
        """The kinds of faults in the plans of some phases."""
        plans = [draw(Random(seed), (1, 2, 4), 20.0, disks=disks, behind=behind) for seed in range(50)]
        return {fault.kind for plan in plans for fault in plan}

    def test_without_disks_none_is_filled(self) -> None:
        """Without a file system of its own a node's full disk would be the machine's."""
        drawn = self.drawn(disks=False, behind=False)
        self.assertEqual(drawn, set(KINDS) - {"fill", "short", "behind"})

    def test_nodes_that_are_there(self) -> None:
        """Ids have gaps once nodes have left: a fault of a node that is no more would find nothing."""
        faults = [fault for seed in range(20) for fault in draw(Random(seed), (2, 7, 9), 20.0, disks=True, behind=True)]
        self.assertEqual({node for fault in faults for node in fault.nodes}, {2, 7, 9})

    def test_members_change_all_the_time(self) -> None:
        """The next change begins soon after one is complete."""
        for seed in range(20):
            faults = draw(Random(seed), (1, 2, 3), 20.0, disks=True, behind=False)
            times = [0.0, *(fault.at for fault in faults if fault.kind == "members"), 20.0]
            self.assertLess(max(later - earlier for earlier, later in pairwise(times)), 10.0)


class ShareTests(SynchronousTestCase):
    """What is lost from whom to whom."""

    def lost(self, *faults: tuple[str, tuple[int, ...], float]) -> dict[tuple[int, int], float]:
        return shares([Fault(0.0, 1.0, kind, nodes, share) for kind, nodes, share in faults], (1, 2, 3))

    def test_one_direction(self) -> None:
        """A cable that carries one way only is the worst of partitions."""
        self.assertEqual(self.lost(("one way", (2, 3), 1.0)), {(2, 3): 1.0})
        self.assertEqual(self.lost(("deaf", (1,), 1.0)), {(2, 1): 1.0, (3, 1): 1.0})
        self.assertEqual(self.lost(("mute", (1,), 1.0)), {(1, 2): 1.0, (1, 3): 1.0})

    def test_ids_with_gaps(self) -> None:
        """Nodes that have left lose nothing more."""
        lost = shares([Fault(0.0, 1.0, "isolate", (7,)), Fault(0.0, 1.0, "mute", (5,))], (2, 7))
        self.assertEqual(lost.keys(), {(2, 7), (7, 2)})

    def test_both_directions(self) -> None:
        """Nothing passes to a node that is cut off, or from it."""
        self.assertEqual(self.lost(("isolate", (3,), 1.0)).keys(), {(1, 3), (2, 3), (3, 1), (3, 2)})

    def test_faults_overlap(self) -> None:
        """The worse one counts: the end of one does not mend the other."""
        lost = self.lost(("loss", (1, 2, 3), 0.2), ("one way", (1, 2), 1.0))
        self.assertEqual((lost[1, 2], lost[2, 1]), (1.0, 0.2))
        self.assertEqual(len(lost), 6)

    def test_kills_lose_no_packets(self) -> None:
        """They are no faults of the network."""
        self.assertEqual(self.lost(("kill", (1,), 1.0), ("freeze", (2,), 1.0), ("fill", (3,), 1.0)), {})
