"""The simulator finds the bugs of deadlines and of erased keys within 300 seeds."""

from __future__ import annotations

from dkv.settings import CLASSIC, LEADER
from tests.sim.hunt import HuntTestCase
from tests.sim.planted_erasure import ERASURES


class PlantedErasureTests(HuntTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def check(self, name: str, *words: str, modes: tuple[str, ...] = (LEADER, CLASSIC)) -> None:
        """The bug is found in each mode, and its sentence names what was promised: one of ``words``."""
        for mode in modes:
            self.check_found(name, ERASURES[name], words, mode)

    def test_snapshot_without_time(self) -> None:
        """For a node that was caught up by a snapshot, keys that were gone come back to life."""
        self.check("snapshot_without_time", "for key b'L'")

    def test_read_by_the_local_clock(self) -> None:
        """A lock is gone for those that ask one node, and held for those that ask another one."""
        self.check("read_by_the_local_clock", "true after no slot")

    def test_read_by_the_time_of_its_barrier(self) -> None:
        """A key is gone, and there again when the next one looks."""
        self.check("read_by_the_time_of_its_barrier", "true after no slot", modes=(LEADER,))

    def test_erased_a_slot_later_after_a_restart(self) -> None:
        """Two nodes have two states after the same slot: the comparison of states fences one of them.

        A node that has keys left which all others have erased proposes slots for them.
        """
        self.check("erased_a_slot_later_after_a_restart", "I9", "nothing is due")

    def test_erased_as_far_as_memory_has_them(self) -> None:
        """What a slot does depends on what a node happens to have in memory."""
        self.check("erased_as_far_as_memory_has_them", "I9", "nothing is due")

    def test_deadline_outlives_its_value(self) -> None:
        """A value that is to stay goes, by a deadline that the value before had."""
        self.check("deadline_outlives_its_value", "I9")

    def test_deadline_is_not_renamed(self) -> None:
        """A key that has expired takes space for ever."""
        self.check("deadline_is_not_renamed", "I9")

    def test_no_slot_for_a_deadline(self) -> None:
        """Keys that have expired take space, and are counted, until somebody writes."""
        self.check("no_slot_for_a_deadline", "a key stays")

    def test_slots_without_end(self) -> None:
        """An idle cluster writes its disks full."""
        self.check("slots_without_end", "nothing is due", "has not said what is due")

    def test_slot_that_came_early_is_not_waited_for(self) -> None:
        """Where the time goes slower than the nodes' clocks, the log is filled with slots that have nothing to do."""
        self.check("slot_that_came_early_is_not_waited_for", "nothing is due", modes=(CLASSIC,))

    def test_slot_for_what_is_under_way(self) -> None:
        """A million keys that expire at once fill the leader's window with slots that have nothing to do."""
        self.check("slot_for_what_is_under_way", "has not said what is due", modes=(LEADER,))
