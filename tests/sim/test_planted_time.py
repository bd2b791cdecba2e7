"""The simulator finds the bugs of the replicated time within 300 seeds."""

from __future__ import annotations

from dkv.settings import CLASSIC, LEADER
from tests.sim.hunt import HuntTestCase
from tests.sim.planted_time import TIME_PLANTS


class PlantedTimeTests(HuntTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def check(self, name: str, *words: str, modes: tuple[str, ...] = (LEADER, CLASSIC)) -> None:
        """The bug is found in each mode, and its sentence names what was promised: one of ``words``."""
        for mode in modes:
            self.check_found(name, TIME_PLANTS[name], words, mode)

    def test_recovered_slot_is_stamped_anew(self) -> None:
        """Two nodes hold the same write with two deadlines."""
        self.check("recovered_slot_is_stamped_anew", "I3", "I6", modes=(LEADER,))

    def test_falling_stamp_is_obeyed(self) -> None:
        """A key that is gone comes back to life.

        In classic mode no stamp falls: whoever proposes a slot has applied all slots before it.
        """
        self.check("falling_stamp_is_obeyed", "I9", modes=(LEADER,))

    def test_one_clock_moves_time(self) -> None:
        """One machine whose clock is set ahead ends the locks of all."""
        self.check("one_clock_moves_time", "later than the latest clock")

    def test_stamp_is_read_at_apply(self) -> None:
        """A key is gone on one node and there on the next."""
        self.check("stamp_is_read_at_apply", "I9")
