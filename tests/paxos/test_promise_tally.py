"""Promises at the proposer: which quorum they make, and which values it must propose."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import ZERO, Ballot
from dkv.messages import Promise
from dkv.paxos.promise_tally import PromiseTally
from dkv.records import NOOP, Batch, SlotRecord, Value

BALLOT = Ballot(9, 1)
MEMBERS = (1, 2, 3)


def value(text: str) -> Value:
    """A value of one batch."""
    return (Batch(2, 0xB2, 1, 1, text.encode()),)


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
        self.tally = PromiseTally(BALLOT, MEMBERS)

    def test_b4_a_late_promise_does_not_count(self) -> None:
        """A Promise for an earlier ballot is no promise for this one: two leaders would share a quorum."""
        self.tally.add(1, promise())
        self.tally.add(2, Promise(Ballot(8, 1), 0, 0, 1, 0, 1, ()))
        self.assertFalse(self.tally.complete())
        self.tally.add(3, promise())
        self.assertTrue(self.tally.complete())

    def test_b4_a_promise_to_another_of_the_same_round(self) -> None:
        """Two nodes may run in one round: a promise to one is none to the other."""
        self.tally.add(1, promise())
        self.tally.add(2, Promise(Ballot(BALLOT.round, 2), 0, 0, 1, 0, 1, ()))
        self.assertFalse(self.tally.complete())

    def test_strangers_and_repeats_do_not_count(self) -> None:
        """One member, told twice, is no majority; nor is a node that is no member."""
        self.tally.add(1, promise())
        self.tally.add(1, promise(report=2))
        self.tally.add(7, promise())
        self.assertFalse(self.tally.complete())

    def test_a_report_in_chunks_counts_when_it_is_whole(self) -> None:
        """The missing chunk may hold the one record that matters."""
        self.tally.add(1, promise())
        self.tally.add(2, promise(chunk=1, chunks=2))
        self.assertFalse(self.tally.complete())
        self.tally.add(2, promise(chunk=0, chunks=2))
        self.assertTrue(self.tally.complete())

    def test_chunks_of_two_reports_are_not_joined(self) -> None:
        """The second report may begin elsewhere: a slot between would be filled with a no-op over a chosen value."""
        a, b = SlotRecord(Ballot(1, 2), value("a")), SlotRecord(Ballot(1, 2), value("b"))
        self.tally.add(1, promise())
        self.tally.add(2, promise((9, a), (10, a), (11, a), report=1, chunk=0, chunks=2))
        self.tally.add(2, promise((14, b), report=2, chunk=1, chunks=2, through=10))
        self.assertFalse(self.tally.complete())
        self.tally.add(2, promise((11, a), (12, a), (13, a), report=2, chunk=0, chunks=2, through=10))
        self.assertTrue(self.tally.complete())
        self.assertEqual(self.tally.choices(10), [value("a")] * 3 + [value("b")])

    def test_nonsense_is_ignored(self) -> None:
        """A chunk beyond the last must neither count nor raise."""
        self.tally.add(2, promise(chunk=3, chunks=2))
        self.assertEqual(self.tally.reported(), set())

    def test_base(self) -> None:
        """Nothing is proposed at or below what the quorum knows chosen, and its holder can be asked for it."""
        self.tally.add(1, promise(through=3))
        self.tally.add(3, promise(through=8))
        self.assertEqual(self.tally.base(), (8, 3))

    def test_b13_base_of_a_compacted_log(self) -> None:
        """What is erased was chosen, whatever else the report says."""
        self.tally.add(1, promise(through=3))
        self.tally.add(3, promise(through=0, compacted=9))
        self.assertEqual(self.tally.base(), (9, 3))

    def test_within_reach(self) -> None:
        """A candidate that nobody can bring up to date slot by slot must know that at once."""
        self.tally.add(1, promise(through=3))
        self.tally.add(2, promise(through=8, compacted=4))
        for held_through, reached in ((2, True), (3, False), (4, True), (7, True), (8, False), (9, False)):
            self.assertIs(self.tally.within_reach(held_through), reached, f"through {held_through}")


class ChoiceTests(SynchronousTestCase):
    def choices(self, one: dict[int, SlotRecord], two: dict[int, SlotRecord], base: int = 0) -> list[Value]:
        """The choices of two whole reports."""
        tally = PromiseTally(BALLOT, MEMBERS)
        tally.add(1, promise(*one.items()))
        tally.add(2, promise(*two.items()))
        return tally.choices(base)

    def test_the_highest_ballot_wins(self) -> None:
        """Paxos Made Simple, P2c: whatever may have been chosen is what the highest ballot proposed."""
        low, high = SlotRecord(Ballot(1, 3), value("low")), SlotRecord(Ballot(2, 1), value("high"))
        self.assertEqual(self.choices({1: low}, {1: high}), [value("high")])
        self.assertEqual(self.choices({1: high}, {1: low}), [value("high")])

    def test_the_higher_node_wins_within_a_round(self) -> None:
        """Two ballots of one round are two ballots: the value of the higher one may have been chosen."""
        low, high = SlotRecord(Ballot(2, 1), value("low")), SlotRecord(Ballot(2, 3), value("high"))
        self.assertEqual(self.choices({1: low}, {1: high}), [value("high")])
        self.assertEqual(self.choices({1: high}, {1: low}), [value("high")])

    def test_b26_chosen_beats_any_ballot(self) -> None:
        """A value that was learned has the ballot of an earlier vote, or none."""
        learned, high = SlotRecord(ZERO, value("chosen"), chosen=True), SlotRecord(Ballot(5, 1), value("high"))
        self.assertEqual(self.choices({1: learned}, {1: high}), [value("chosen")])
        self.assertEqual(self.choices({1: high}, {1: learned}), [value("chosen")])

    def test_gaps_are_filled(self) -> None:
        """A slot that nobody reported must be decided before later ones can be applied."""
        record = SlotRecord(Ballot(1, 2), value("x"))
        self.assertEqual(self.choices({3: record}, {5: record}, base=1), [NOOP, value("x"), NOOP, value("x")])

    @given(
        some.lists(
            some.dictionaries(some.integers(1, 6), some.tuples(some.integers(1, 4), some.booleans()), max_size=6),
            min_size=2,
            max_size=2,
        ),
        some.integers(0, 6),
    )
    def test_as_a_dumb_second_version_says(self, reports: list[dict[int, tuple[int, bool]]], base: int) -> None:
        """Every choice, slot by slot, by sorting."""
        held = [
            {
                slot: SlotRecord(Ballot(number, 2), value(f"{number}{chosen}"), chosen)
                for slot, (number, chosen) in r.items()
            }
            for r in reports
        ]
        expected = []
        for slot in range(base + 1, max([base, *held[0], *held[1]]) + 1):
            records = [report[slot] for report in held if slot in report]
            records.sort(key=lambda record: (record.chosen, record.ballot))
            expected.append(records[-1].value if records else NOOP)
        self.assertEqual(self.choices(held[0], held[1], base), expected)
