"""Which slots may be proposed by the Promises that have come, set by set."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import Ballot
from dkv.configurations import ALPHA, Configuration, Configurations
from dkv.messages import Promise
from dkv.paxos.known_members import KnownMembers
from dkv.paxos.promise_tally import PromiseTally
from dkv.paxos.promised import Promised

BALLOT = Ballot(9, 1)
OLD = Configuration(0, 1, frozenset((1, 2, 3)))
NEW = Configuration(10, 74, frozenset((1, 2, 4)))
NEWEST = Configuration(80, 144, frozenset((4, 5, 6)))
HELD = Configurations((OLD, NEW, NEWEST), (), 6)


def promise(through: int = 0) -> Promise:
    """A Promise for the ballot, of a node that knows the slots up to ``through`` to be chosen."""
    return Promise(BALLOT, through, 0, 1, 0, 1, ())


class AllowedTests(SynchronousTestCase):
    def allowed(self, nodes: tuple[int, ...], next_slot: int, applied: int) -> int:
        """The last slot that may be proposed when ``nodes`` have promised."""
        tally = PromiseTally(BALLOT)
        for node in nodes:
            tally.add(node, promise(), 0.0)
        self.promised = Promised(tally, next_slot - 1)
        return self.promised.allowed_through(KnownMembers(1, HELD, applied), next_slot)

    def test_r2_each_set_needs_its_own_quorum(self) -> None:
        """The last slot of a set needs a quorum of that set, and the first of the next one of the next."""
        for nodes, next_slot, through in (
            ((1, 4), 73, 0),
            ((1, 2), 73, 143),
            ((1, 3), 73, 73),
            ((1, 4), 74, 143),
            ((1, 3), 74, 73),
            ((4, 5), 143, 73),
            ((4, 5), 144, 80 + ALPHA),
        ):
            allowed = self.allowed(nodes, next_slot, 80)
            self.assertEqual(allowed, through, (nodes, next_slot))
            self.assertEqual(self.promised.lacking, through != 80 + ALPHA)

    def test_r3_what_is_applied_says_who_decides(self) -> None:
        """With all promises there are, a leader goes no further than the log says who decides."""
        for applied in (72, 80, 99):
            self.assertEqual(self.allowed((1, 2, 3, 4, 5, 6), applied + 1, applied), applied + ALPHA)
            self.assertFalse(self.promised.lacking)
            self.assertEqual(self.promised.missing((1, 7)), [], "nobody is waited for that no set lacks")

    def test_whom_a_lead_waits_for(self) -> None:
        """Those who have not promised, for as long as a set lacks a quorum."""
        self.allowed((1, 2), 73, 80)
        self.assertEqual(self.promised.missing((1, 2, 4, 5)), [4, 5])


class LateTests(SynchronousTestCase):
    def test_r5_a_promise_that_knows_more_waits(self) -> None:
        """Its node knows a slot to be chosen that the lead might give another value; it counts when that is passed."""
        tally = PromiseTally(BALLOT)
        tally.add(1, promise(), 0.0)
        promised, members = Promised(tally, 72), KnownMembers(1, HELD, 72)
        self.assertFalse(promised.lacking or promised.kept, "nobody has asked yet")
        promised.add(2, promise(through=73), 0.0, 72, 73)
        self.assertTrue(promised.kept)
        self.assertEqual(promised.allowed_through(members, 73), 0)
        self.assertEqual(promised.ahead(members, 73), [2])
        promised.count(73, 74)
        self.assertFalse(promised.kept)
        self.assertEqual(promised.allowed_through(members, 74), 72 + ALPHA)
        self.assertEqual(promised.ahead(members, 74), [])

    def test_r5_others_count_beside_one_that_waits(self) -> None:
        """Whatever the order in which they came."""
        tally = PromiseTally(BALLOT)
        promised, members = Promised(tally, 72), KnownMembers(1, HELD, 72)
        for node, through in ((1, 73), (2, 72), (3, 0)):
            promised.add(node, promise(through), 0.0, 72, 73)
        self.assertTrue(promised.kept)
        self.assertEqual(promised.allowed_through(members, 73), 73)
