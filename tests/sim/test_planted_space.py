"""The simulator finds the bugs of a shortage of disk space, in both modes, within 300 seeds."""

from __future__ import annotations

from dkv.settings import CLASSIC, LEADER
from tests.sim.hunt import HuntTestCase
from tests.sim.planted_space import SPACE_PLANTS


class PlantedSpaceTests(HuntTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def check(self, number: str, *words: str) -> None:
        """The bug is found in each mode, and its sentence names what was promised: one of ``words``."""
        for mode in (LEADER, CLASSIC):
            self.check_found(number, SPACE_PLANTS[number], words, mode)

    def test_b50_judged_by_each_node(self) -> None:
        """A client that is refused on one node and served on the next fills the same disk all the same."""
        self.check("B50", "B50")

    def test_b50_repeats_refused(self) -> None:
        """A client that lost its answer is told that nothing was done, and it was."""
        self.check("B50b", "I10")

    def test_b50_deletes_refused(self) -> None:
        """Nobody can make room."""
        self.check("B50c", "was answered")
