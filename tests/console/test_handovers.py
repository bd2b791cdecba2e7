"""What an operator is told who wants another node to lead."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.actor import HOST, Address
from dkv.ballot import Ballot
from dkv.console.handovers import Handovers
from dkv.events import HandOver
from dkv.settings import CLASSIC, LEADER


class TransferTests(SynchronousTestCase):
    """Node 1 of three."""

    def setUp(self) -> None:
        self.begin()

    def begin(self, mode: str = LEADER) -> None:
        """A new life."""
        self.delivered: list[Any] = []
        self.handovers = Handovers(1, mode, lambda *letter: self.delivered.append(letter))

    def follow(self, leader: int) -> None:
        """The elector's word."""
        self.handovers.takers[noted.leader_elected](leader=leader, ballot=Ballot(3, leader))

    def lead(self, **obstacles: str) -> None:
        """This node leads, and has looked at the others."""
        self.follow(1)
        found = {int(name[1:]): obstacle for name, obstacle in obstacles.items()}
        self.handovers.takers[noted.successors](obstacles=found)

    def refusal(self, to: int) -> str:
        """Why it is refused; nothing is done."""
        refusal = self.handovers.transfer(to)
        assert refusal is not None
        self.assertEqual(self.delivered, [])
        return refusal

    def test_asks_the_elector(self) -> None:
        """The order of an operator reaches the node that is to lead."""
        self.lead(n2="", n3="")
        self.assertIsNone(self.handovers.transfer(3))
        self.assertEqual(self.delivered, [("elector", Address(1, HOST), HandOver(3))])

    def test_it_leads_already(self) -> None:
        """A repeated order is no mistake, whichever node gets it."""
        for leader in (1, 2):
            self.follow(leader)
            self.assertIsNone(self.handovers.transfer(leader))
        self.assertEqual(self.delivered, [])

    def test_only_the_leader(self) -> None:
        """An operator is told which node to ask."""
        self.assertEqual(self.refusal(2), "TRYAGAIN node 1 knows no leader at the moment")
        self.follow(2)
        self.assertEqual(self.refusal(3), "ERR node 1 does not lead, node 2 does: send this to node 2")
        self.handovers.takers[noted.leader_lost](leader=2, ballot=Ballot(3, 2), reason="it resigned")
        self.assertEqual(self.refusal(3), "TRYAGAIN node 1 knows no leader at the moment")

    def test_to_one_that_cannot(self) -> None:
        """The reason comes at once, and not as a timeout."""
        self.lead(n2="node 2 does not answer", n3="")
        self.assertEqual(self.refusal(2), "ERR node 2 does not answer, so it cannot take over")
        self.assertEqual(self.refusal(7), "ERR node 7 is no voter beside node 1, which leads; the other voters: 2, 3")
        self.lead()
        self.assertEqual(self.refusal(2), "ERR node 2 is no voter beside node 1, which leads; the other voters: none")

    def test_an_earlier_lead(self) -> None:
        """What it knew of the others then may have changed while another node led."""
        self.lead(n2="")
        self.follow(3)
        self.follow(1)
        self.assertRegex(self.refusal(2), "^TRYAGAIN node 1 leads since a moment ago")

    def test_classic_mode(self) -> None:
        """There is no lead to give away."""
        self.begin(CLASSIC)
        self.assertEqual(self.refusal(2), "ERR nobody leads in classic mode")
