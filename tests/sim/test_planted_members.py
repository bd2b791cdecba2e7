"""The simulator finds bugs of members that change, each planted into the product, within 300 seeds."""

from __future__ import annotations

from dkv.settings import CLASSIC, LEADER
from dkv.sim.modes import MIXED
from dkv.sim.plan import OF_OPERATORS
from tests.sim.hunt import HuntTestCase
from tests.sim.planted_members import MEMBERS
from tests.sim.planted_members_classic import CLASSIC_MEMBERS

FEW = (*OF_OPERATORS, "contest", "crash", "delay", "loss", "partition", "rotation", "slow-disk")
"""Few enough faults for many changes in a run, and for elections in the middle of them."""

TORN = ("torn-change",)
"""Nothing but leaders that learn of a change alone."""

SAME_ID = ("same-id", *OF_OPERATORS, "crash", "loss")
"""Operators who want to use an id again."""


class _MembersTestCase(HuntTestCase):
    """The bug of ``plants`` that a test is named after is found in ``mode``."""

    mode = LEADER
    plants = MEMBERS

    def check(self, *words: str, faults: tuple[str, ...] = FEW) -> None:
        """It is found, and its sentence has one of ``words``."""
        name = self._testMethodName.removeprefix("test_")
        self.check_found(name, self.plants[name], words, self.mode, faults)


class PlantedTests(_MembersTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def test_newest_set_decides(self) -> None:
        """Two sets decide the same slot, and an acknowledged write is lost."""
        self.check("no quorum has promised", "before a majority held it", "I7")

    def test_phase_1_once(self) -> None:
        """A leader whose ballot the new voters never heard of proposes what an earlier one may have had chosen."""
        self.check("which no quorum has promised")

    def test_window_beyond_alpha(self) -> None:
        """A slot is decided by the members of before, and then it turns out that others decide it."""
        self.check("does not say yet who decides it", "which no quorum has promised", "before a majority held it")

    def test_members_before_they_are_applied(self) -> None:
        """A leader goes by the set of before for a slot which the change that it has just counted gives to others."""
        self.check("which no quorum has promised", "does not say yet who decides it", "I7", faults=TORN)

    def test_late_reports_are_ignored(self) -> None:
        """A leader gives a slot another value than a newcomer told it of, which was chosen in an earlier ballot."""
        self.check("than was reported to it", faults=TORN)

    def test_late_floor_is_ignored(self) -> None:
        """A leader proposes a slot anew that a newcomer knows to be chosen, and has nothing to tell of any more."""
        self.check("chosen before it began", faults=TORN)

    def test_id_is_used_again(self) -> None:
        """A node that has forgotten its votes is taken for the one that gave them."""
        self.check("for the voters of slot", "I9", faults=SAME_ID)

    def test_first_set_confirms(self) -> None:
        """A leader whose followers were replaced shows the past."""
        self.check("I11")

    def test_any_set_confirms(self) -> None:
        """A leader that was removed, cut off with the members of old, shows the past."""
        self.check("I11")

    def test_pending_set_is_not_loaded(self) -> None:
        """A node that was started again, or got a snapshot, goes by other members than the others."""
        self.check("I9", "all that is whole runs")

    def test_marks_go_at_the_change(self) -> None:
        """A batch that is sent again before its origin has left is applied twice."""
        self.check("I9", "I10")

    def test_anybody_writes(self) -> None:
        """Nodes that apply a stranger's write, and nodes that do not, or keys that only these nodes have."""
        self.check("I9", "I10", "nothing is due")

    def test_standbys_vote(self) -> None:
        """A write is acknowledged that no majority of voters holds."""
        self.check("before a majority held it", "no majority", "I7")

    def test_removed_and_not_quiet(self) -> None:
        """A node that was taken out of the cluster goes on asking for votes."""
        self.check("was removed")

    def test_removed_node_gives_nothing(self) -> None:
        """The old nodes take the slots before the change with them, and the new ones wait for ever."""
        self.check("a majority was healed", "a change never takes force", "all that is whole runs")

    def test_all(self) -> None:
        """A planted bug without a test here would prove nothing."""
        tested = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        self.assertEqual(MEMBERS.keys(), tested - {"all"})


class ClassicTests(_MembersTestCase):
    """The same in classic mode, where each slot has a phase 1 of its own."""

    mode = CLASSIC
    plants = MEMBERS | CLASSIC_MEMBERS

    def test_newest_set_decides(self) -> None:
        """Two sets decide the same slot."""
        self.check("no quorum has promised", "before it was", "I7")

    def test_set_before_decides(self) -> None:
        """The members of before decide a slot more, or are asked in vain."""
        self.check("no quorum has promised", "before it was", "all that is whole runs")

    def test_standbys_vote(self) -> None:
        """A slot is called chosen that no majority of voters holds."""
        self.check("no quorum has promised", "before it was", "I7")

    def test_nobody_fills(self) -> None:
        """A change waits for ever for somebody who writes."""
        self.check("a change never takes force")

    def test_pending_set_is_not_loaded(self) -> None:
        """A node that was started again, or got a snapshot, goes by other members than the others."""
        self.check("I9", "a change never takes force", "all that is whole runs")

    def test_marks_go_at_the_change(self) -> None:
        """A batch that is sent again before its origin has left is applied twice."""
        self.check("I9", "I10")

    def test_removed_node_gives_nothing(self) -> None:
        """The old nodes take the slots before the change with them."""
        self.check("a majority was healed", "all that is whole runs")

    def test_id_is_used_again(self) -> None:
        """A node that has forgotten its votes is taken for the one that gave them."""
        self.check("for the voters of slot", "I9", faults=SAME_ID)

    def test_all(self) -> None:
        """Each bug that only classic mode can have is tried."""
        tested = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        self.assertEqual(CLASSIC_MEMBERS.keys() - tested, set())


class MixedTests(_MembersTestCase):
    """The same where nodes change their mode: both modes must count by the same sets."""

    mode = MIXED

    def test_newest_set_decides(self) -> None:
        """Two sets decide the same slot."""
        self.check("no quorum has promised", "before a majority held it", "before it was", "I7")

    def test_late_reports_are_ignored(self) -> None:
        """A leader gives a slot another value than a newcomer told it of."""
        self.check("than was reported to it", faults=TORN)

    def test_pending_set_is_not_loaded(self) -> None:
        """A node that was started again, or got a snapshot, goes by other members than the others."""
        self.check("I9", "a change never takes force", "all that is whole runs")
