"""What a leader must propose in slots where its predecessors may have come to an end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import ZERO, Ballot
from dkv.paxos.found_values import FoundValues
from dkv.records import NOOP, Batch, SlotRecord, Value


def value(text: str) -> Value:
    """A value of one batch."""
    return Value((Batch(2, 0xB2, 1, 1, text.encode()),))


class FoundValuesTests(SynchronousTestCase):
    def choices(self, one: dict[int, SlotRecord], two: dict[int, SlotRecord], base: int = 0) -> list[Value]:
        """What two reports make a leader propose after ``base``."""
        found = FoundValues(base)
        for report in (one, two):
            found.add(report.items(), base + 1)
        return [found.take(slot) for slot in range(base + 1, found.through + 1)]

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
