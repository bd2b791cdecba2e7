"""Ballots: totally ordered, and always one above."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import ZERO, Ballot

ballots = some.builds(Ballot, some.integers(1, 100), some.integers(1, 9))


class BallotTests(SynchronousTestCase):
    @given(ballots, ballots)
    def test_order(self, one: Ballot, two: Ballot) -> None:
        """By round, then by node: two nodes never share one, and zero is below all."""
        self.assertEqual(one < two, one.round < two.round or (one.round == two.round and one.node < two.node))
        self.assertLess(ZERO, one)

    @given(ballots, some.integers(1, 9))
    def test_above(self, ballot: Ballot, node: int) -> None:
        """A proposer's next ballot exceeds what it met, whosever that was (I5)."""
        above = ballot.above(node)
        self.assertGreater(above, ballot)
        self.assertEqual(above.node, node)

    def test_in_words(self) -> None:
        """As logs and INFO show it."""
        self.assertEqual(str(Ballot(12, 3)), "12.3")
