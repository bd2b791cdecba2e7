"""What each node was told of the leader's count."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.paxos.chosen_marks import ChosenMarks


class ToldTests(SynchronousTestCase):
    def test_told_once(self) -> None:
        """A mark that was told costs no second message; the least of all says whether anybody is behind."""
        told = ChosenMarks((1, 2, 3))
        self.assertEqual(told.tell((1, 2), 4), [1, 2])
        self.assertEqual(told.least, -1)
        self.assertEqual(told.tell((1, 2, 3), 4), [3])
        self.assertEqual((told.least, told.tell((1, 2, 3), 3)), (4, []))

    def test_members_that_come_and_go(self) -> None:
        """A new one is told all, and one that has left keeps nobody from having been told."""
        told = ChosenMarks((1, 2, 3))
        told.tell((1, 2), 4)
        told.know((1, 2, 4))
        self.assertEqual((told.least, told.tell((1, 2, 3, 4), 4), told.least), (-1, [4], 4))

    def test_a_stranger_is_told_nothing(self) -> None:
        """A recovered batch may be of a node that is no member: that must not end the leader."""
        told = ChosenMarks((1, 2, 3))
        self.assertEqual(told.tell((9, 2), 4), [2])
