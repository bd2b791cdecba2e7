"""The four standings of an election: every way from one to another, and the table that tells of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import Ballot
from dkv.paxos import standing
from dkv.paxos.hearing import Signs
from dkv.paxos.standing import (
    Candidate,
    Follower,
    Leader,
    Leaderless,
    Standing,
    campaigns,
    hears_leader,
    leader_heard,
    leader_lost,
    poll_granted,
    proposer_leads,
    proposer_stopped,
)

B1, B2 = Ballot(1, 1), Ballot(2, 2)
FOLLOWER = Follower(B2, 10.0, 12.0)
STANDINGS: dict[str, Standing] = {
    "Follower": FOLLOWER,
    "Leaderless": Leaderless(),
    "Candidate": Candidate(11.0),
    "Leader": Leader(B1, Signs((2, 3), 10.0)),
}
COLUMNS: list[Callable[[Any], Any]] = [
    lambda held: leader_heard(B2, 20.0, None),
    leader_lost,
    lambda held: poll_granted(held, 20.0),
    lambda held: proposer_leads(B1, (2, 3), 20.0),
    proposer_stopped,
]


class WayTests(SynchronousTestCase):
    def test_the_table(self) -> None:
        """Whoever looks for a way that the table does not have, or finds another end of it, is misled by it."""
        rows = [line.split() for line in str(standing.__doc__).splitlines()]
        table = {row[0]: row[1:] for row in rows if row and row[0] in STANDINGS}
        self.assertEqual(table.keys(), STANDINGS.keys())
        for name, held in STANDINGS.items():
            self.assertEqual(len(table[name]), len(COLUMNS), name)
            for way, cell in zip(COLUMNS, table[name], strict=True):
                if cell != "-":
                    self.assertEqual(type(way(held)).__name__, cell.rstrip("*+"), name)

    def test_a_campaign_outlives_a_leader(self) -> None:
        """A node that forgot its own phase 1 would grant an election to another, and the two would end each other."""
        campaigning = poll_granted(FOLLOWER, 20.0)
        self.assertEqual(campaigning, Follower(B2, 10.0, 12.0, 20.0))
        self.assertEqual(leader_lost(Follower(B2, 10.0, 12.0, 20.0)), Candidate(20.0))
        self.assertEqual(proposer_stopped(campaigning), FOLLOWER)

    def test_a_leader_hears_itself(self) -> None:
        """A leader that granted elections would be deposed by every node that lost one connection (B19)."""
        heard = {name: hears_leader(held, 12.5, 0.6) for name, held in STANDINGS.items()}
        self.assertEqual(heard, {"Follower": True, "Leaderless": False, "Candidate": False, "Leader": True})
        self.assertFalse(hears_leader(FOLLOWER, 12.75, 0.6))

    def test_a_campaign_grows_stale(self) -> None:
        """A candidate that nobody promises must not keep the others from leading for ever."""
        self.assertTrue(campaigns(Candidate(11.0), 12.0, 1.2))
        self.assertFalse(campaigns(Candidate(11.0), 12.5, 1.2))
        self.assertTrue(campaigns(Follower(B2, 10.0, 12.0, 11.5), 12.0, 1.2))
        for name in ("Follower", "Leaderless", "Leader"):
            self.assertFalse(campaigns(STANDINGS[name], 12.0, 1.2), name)
