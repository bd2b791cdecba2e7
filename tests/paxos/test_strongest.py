"""The one rule for what must be proposed again, whatever the mode."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import ZERO, Ballot
from dkv.paxos.strongest import strongest
from dkv.records import Batch, SlotRecord, Value


def value(name: str) -> Value:
    """A value of one batch."""
    return Value((Batch(1, 1, 1, 1, name.encode()),))


def record(ballot: Ballot, chosen: bool = False) -> SlotRecord:
    """A record whose value its ballot names, as no ballot has two."""
    return SlotRecord(ballot, value(str(ballot)), chosen)


ballots = some.builds(Ballot, some.integers(1, 3), some.integers(1, 3))


class StrongestTests(SynchronousTestCase):
    def test_none_is_held(self) -> None:
        """A proposer is free to propose its own value only where nobody in the quorum holds one."""
        self.assertIsNone(strongest([]))

    @given(some.sets(ballots, min_size=1))
    def test_b31_the_highest_ballot(self, held: set[Ballot]) -> None:
        """A value that was chosen is what the highest ballot proposed, whoever reports it first (P2c)."""
        for order in (sorted(held), sorted(held, reverse=True)):
            self.assertEqual(strongest(map(record, order)), record(max(held)))

    @given(some.sets(ballots))
    def test_b26_chosen_is_above_every_ballot(self, held: set[Ballot]) -> None:
        """A value that was fetched from a peer is chosen, though it was never accepted here."""
        learned = record(ZERO, chosen=True)
        self.assertIs(strongest([*map(record, held), learned]), learned)
        self.assertIs(strongest([learned, *map(record, held)]), learned)
