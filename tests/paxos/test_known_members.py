"""The view that an actor has of the members. It changes where one set ends and the next one begins."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import Configuration, Configurations
from dkv.events import MembersAre
from dkv.paxos.known_members import KnownMembers

OLD = Configuration(0, 1, frozenset((1, 2, 3)))
NEW = Configuration(10, 74, frozenset((1, 2, 4)), frozenset((5,)))
NEWEST = Configuration(80, 144, frozenset((4, 5, 6)))
HELD = Configurations((OLD, NEW, NEWEST), (), 6)


class KnownMembersTests(SynchronousTestCase):
    def test_sets_that_follow_a_slot(self) -> None:
        """The set that decides the slot itself is the first of them, up to its very last slot."""
        members = KnownMembers(1, HELD, 5)
        for slot, following in (
            (1, (OLD, NEW, NEWEST)),
            (72, (OLD, NEW, NEWEST)),
            (73, (OLD, NEW, NEWEST)),
            (74, (NEW, NEWEST)),
            (143, (NEW, NEWEST)),
            (144, (NEWEST,)),
        ):
            self.assertEqual(members.following(slot), following, slot)

    def test_in_force(self) -> None:
        """The set that decides the next slot is in force, and not the one that decided the last."""
        members = KnownMembers(1, HELD, 72)
        for applied, in_force, others in (
            (72, OLD, (2, 3, 4, 5, 6)),
            (73, NEW, (2, 4, 5, 6)),
            (143, NEWEST, (4, 5, 6)),
        ):
            members.update(MembersAre(HELD, applied))
            self.assertEqual((members.in_force, members.others), (in_force, others), applied)
            self.assertEqual(members.each[0], in_force)

    def test_an_old_word_takes_nothing_back(self) -> None:
        """The applied mark only grows, even if an actor hears of two slots in the wrong order."""
        members = KnownMembers(1, HELD, 72)
        for applied, known in ((75, 75), (74, 75)):
            members.advance(applied)
            self.assertEqual(members.applied, known)

    def test_sets_that_are_forgotten(self) -> None:
        """A snapshot begins with the set that decides its next slot: everything before that is applied."""
        members = KnownMembers(1, Configurations((NEW, NEWEST), (), 6), 0)
        self.assertEqual((members.applied, members.in_force), (73, NEW))
        self.assertEqual([members.has_forgotten(slot) for slot in (1, 73, 74, 144)], [True, True, False, False])
