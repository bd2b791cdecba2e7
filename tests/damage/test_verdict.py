"""What a node keeps of its peers: which differences the sweep of damage may let pass."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import Ballot
from dkv.identity import Acquaintance, Start, Votes
from tests.damage.verdict import Judge

KNOWN = Acquaintance(7, Start(3, 33), Votes(Ballot(2, 1), 50))


class StillKnowsTests(SynchronousTestCase):
    def test_only_votes_may_be_fewer(self) -> None:
        """They are a lower bound, kept when there is time. A life or a directory is kept before it is talked with."""
        self.assertTrue(Judge._still_knows(KNOWN, KNOWN))
        self.assertTrue(Judge._still_knows(replace(KNOWN, votes=Votes(Ballot(1, 1), 49)), KNOWN))
        for found in (
            None,
            replace(KNOWN, incarnation=8),
            replace(KNOWN, start=Start(2, 22)),
            replace(KNOWN, votes=Votes(Ballot(2, 1), 51)),
            replace(KNOWN, votes=Votes(Ballot(3, 1), 50)),
        ):
            self.assertFalse(Judge._still_knows(found, KNOWN))
