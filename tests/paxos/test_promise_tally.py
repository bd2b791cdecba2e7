"""Promises at the proposer: who has given one, and what they report."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import Ballot
from dkv.configurations import Configuration
from dkv.messages import Promise
from dkv.paxos.promise_tally import PromiseTally
from dkv.records import Batch, SlotRecord, Value

BALLOT = Ballot(9, 1)
THREE = Configuration(0, 1, frozenset((1, 2, 3)))


def value(text: str) -> Value:
    """A value of one batch."""
    return Value((Batch(2, 0xB2, 1, 1, text.encode()),))


def promise(
    *records: tuple[int, SlotRecord],
    through: int = 0,
    compacted: int = 0,
    report: int = 1,
    chunk: int = 0,
    chunks: int = 1,
) -> Promise:
    """A Promise for ``BALLOT``."""
    return Promise(BALLOT, through, compacted, report, chunk, chunks, records)


class TallyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.tally = PromiseTally(BALLOT)

    def test_b4_a_late_promise_does_not_count(self) -> None:
        """A Promise for an earlier ballot is no promise for this one: two leaders would share a quorum."""
        self.tally.add(1, promise(), 0.0)
        self.tally.add(2, Promise(Ballot(8, 1), 0, 0, 1, 0, 1, ()), 0.0)
        self.assertFalse(THREE.decides(self.tally.reported()))
        self.tally.add(3, promise(), 0.0)
        self.assertTrue(THREE.decides(self.tally.reported()))

    def test_b4_a_promise_to_another_of_the_same_round(self) -> None:
        """Two nodes may run in one round: a promise to one is none to the other."""
        self.tally.add(1, promise(), 0.0)
        self.tally.add(2, Promise(Ballot(BALLOT.round, 2), 0, 0, 1, 0, 1, ()), 0.0)
        self.assertFalse(THREE.decides(self.tally.reported()))

    def test_strangers_and_repeats_do_not_count(self) -> None:
        """One member, told twice, is no majority; nor is a node that decides nothing."""
        self.tally.add(1, promise(), 0.0)
        self.tally.add(1, promise(report=2), 0.0)
        self.tally.add(7, promise(), 0.0)
        self.assertFalse(THREE.decides(self.tally.reported()))

    def test_a_report_in_chunks_counts_when_it_is_whole(self) -> None:
        """The missing chunk may hold the one record that matters."""
        self.tally.add(1, promise(), 0.0)
        self.tally.add(2, promise(chunk=1, chunks=2), 0.0)
        self.assertFalse(THREE.decides(self.tally.reported()))
        self.tally.add(2, promise(chunk=0, chunks=2), 0.0)
        self.assertTrue(THREE.decides(self.tally.reported()))

    def test_chunks_of_two_reports_are_not_joined(self) -> None:
        """The second report may begin elsewhere: a slot between would be filled with a no-op over a chosen value."""
        a, b = SlotRecord(Ballot(1, 2), value("a")), SlotRecord(Ballot(1, 2), value("b"))
        self.tally.add(1, promise(), 0.0)
        self.tally.add(2, promise((9, a), (10, a), (11, a), report=1, chunk=0, chunks=2), 0.0)
        self.tally.add(2, promise((14, b), report=2, chunk=1, chunks=2, through=10), 0.0)
        self.assertFalse(THREE.decides(self.tally.reported()))
        self.tally.add(2, promise((11, a), (12, a), (13, a), report=2, chunk=0, chunks=2, through=10), 0.0)
        self.assertTrue(THREE.decides(self.tally.reported()))
        self.assertEqual(dict(self.tally.records(2)), {11: a, 12: a, 13: a, 14: b})

    def test_nonsense_is_ignored(self) -> None:
        """A chunk beyond the last must neither count nor raise."""
        self.tally.add(2, promise(chunk=3, chunks=2), 0.0)
        self.assertEqual(self.tally.reported(), set())

    def test_base(self) -> None:
        """Nothing is proposed at or below what the quorum knows chosen, and its holder can be asked for it."""
        self.tally.add(1, promise(through=3), 0.0)
        self.tally.add(3, promise(through=8), 0.0)
        self.assertEqual(self.tally.base(), (8, 3))

    def test_b13_base_of_a_compacted_log(self) -> None:
        """What is erased was chosen, whatever else the report says."""
        self.tally.add(1, promise(through=3), 0.0)
        self.tally.add(3, promise(through=0, compacted=9), 0.0)
        self.assertEqual(self.tally.base(), (9, 3))

    def test_within_reach(self) -> None:
        """A candidate that nobody can bring up to date slot by slot must know that at once."""
        self.tally.add(1, promise(through=3), 0.0)
        self.tally.add(2, promise(through=8, compacted=4), 0.0)
        for held_through, reached in ((2, True), (3, False), (4, True), (7, True), (8, False), (9, False)):
            self.assertIs(self.tally.within_reach(held_through), reached, f"through {held_through}")
