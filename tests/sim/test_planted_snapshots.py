"""The simulator finds bugs of snapshots between nodes, each planted into the product, within 300 seeds."""

from __future__ import annotations

from tests.sim.hunt import HuntTestCase
from tests.sim.planted_snapshots import CUT_OFF, SNAPSHOTS


class PlantedTests(HuntTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def check(self, number: str, *words: str) -> None:
        """The bug is found, and its sentence names what was promised: one of ``words``."""
        self.check_found(number, SNAPSHOTS[number], words)

    def test_b22_without_sessions(self) -> None:
        """A repeat on the node that got the snapshot is executed again."""
        self.check("B22", "I9")

    def test_b22_without_marks(self) -> None:
        """The node takes no batch for its origin's next one, or takes one twice."""
        self.check("B22b", "I9")

    def test_b22_two_moments(self) -> None:
        """Slots are applied to a state that has them already."""
        self.check("B22c", "I9")

    def test_b22_generation_used_again(self) -> None:
        """Keys that were deleted since come back on one node."""
        self.check("B22d", "I9")

    def test_b22_before_the_last_chunk(self) -> None:
        """A crash leaves half a state, which counts as whole."""
        self.check("B22e", "I9")

    def test_b22_promise_lost(self) -> None:
        """A node that votes against what it had promised."""
        self.check("B22f", "I1", "I11")

    def test_b22_ops_of_the_old_state(self) -> None:
        """The node forgets another answer than all others, or ends itself."""
        words = ("I9", "is counted and not stored")
        self.check_found("B22g", SNAPSHOTS["B22g"], words, faults=CUT_OFF)

    def test_b22_passed_answered_ok(self) -> None:
        """A client is told what nobody knows."""
        self.check("B22h", "was answered", "linearizable", "I10")
