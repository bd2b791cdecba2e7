"""The roster: the mesh and the log hear who the members are, each change once."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import HOST, LEARNER, Address
from dkv.configurations import Configuration, Configurations, first_configurations
from dkv.events import MembersAre, RemovalTold
from dkv.node.roster import Roster
from tests.turns import FakeTurn

FIRST = first_configurations((1, 2, 3))
JOINED = Configurations((*FIRST.sets, Configuration(10, 74, FIRST.newest.voters, frozenset((4,)))), (), 4)
LEFT = Configurations((*JOINED.sets, Configuration(100, 164, frozenset((2, 3, 4)))), (), 4)


class RosterTests(SynchronousTestCase):
    """Node 1, which leaves by the entry in slot 100."""

    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.told: list[tuple[Configurations, int]] = []
        self.roster = Roster(1, lambda *members: self.told.append(members))
        self.roster.start(self.turn)

    def hear(self, configurations: Configurations, applied: int) -> list[tuple[str, dict[str, Any]]]:
        """What is logged when the learner says who the members are."""
        self.turn.notes.clear()
        self.roster.receive(self.turn, Address(1, LEARNER), MembersAre(configurations, applied))
        return self.turn.notes

    def test_tells_all_that_it_hears(self) -> None:
        """The mesh judges by the slot that is applied, not only by the sets."""
        for each in ((FIRST, 0), (JOINED, 10), (JOINED, 73)):
            self.hear(*each)
        self.assertEqual(self.told, [(FIRST, 0), (JOINED, 10), (JOINED, 73)])
        self.assertEqual([name for name, _ in self.turn.measures], ["members_are"] * 3)

    def test_each_change_is_logged_once(self) -> None:
        """An operator reads when a change takes effect; nothing at a start."""
        self.assertEqual(self.hear(JOINED, 10), [])
        self.assertEqual(self.hear(JOINED, 40), [])
        self.assertEqual(self.hear(JOINED, 73), [("members_in_force", {"slot": 10, "from_slot": 74})])
        self.assertEqual(self.hear(JOINED, 90), [])

    def test_a_start_with_later_members(self) -> None:
        """What was logged before the restart is not logged again."""
        self.assertEqual(self.hear(JOINED, 80), [])

    def test_removed_when_its_removal_is_in_force(self) -> None:
        """Until then its vote is needed."""
        self.hear(JOINED, 80)
        self.assertEqual([name for name, _ in self.hear(LEFT, 162)], [])
        self.assertEqual([name for name, _ in self.hear(LEFT, 163)], ["members_in_force", "removed"])
        self.assertEqual(self.turn.notes[-1][1], {"slot": 100, "addresses": []})
        self.assertEqual(self.hear(LEFT, 170), [])

    def test_a_joiner_is_not_removed(self) -> None:
        """A node whose log does not name it yet waits."""
        self.roster = Roster(5, lambda *members: None)
        self.assertEqual(self.hear(FIRST, 7), [])

    def test_told_by_a_member(self) -> None:
        """A node that was down when it was removed cannot know it by its own log."""
        for _ in range(2):
            self.roster.receive(self.turn, Address(1, HOST), RemovalTold(100, ("db2:7379",)))
        self.assertEqual(self.turn.notes, [("removed", {"slot": 100, "addresses": ["db2:7379"]})])
