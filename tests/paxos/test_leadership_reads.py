"""The proposer that leads: read barriers, and when it may answer them."""

from __future__ import annotations

from typing import Any

from dkv.actor import ELECTOR, GATEWAY, PROPOSER, Address
from dkv.ballot import Ballot
from dkv.events import Campaign, PeerUp, StepDown
from dkv.messages import Accepted, Barrier, BarrierRequest, ChosenMark, Confirm, Confirmed, Nack
from dkv.records import SlotRecord
from tests.paxos.test_proposer import FIRST, TIMINGS, OneProposer, acceptor, batch, here, marks, value
from tests.turns import inject


class ReadTests(OneProposer):
    def ask(self, node: int, number: int) -> list[tuple[Address, Any]]:
        """A gateway asks for a barrier."""
        return self.give(Address(node, GATEWAY), BarrierRequest(1, number))

    def confirm(self, node: int, round_: int, ballot: Ballot = FIRST) -> list[tuple[Address, Any]]:
        """An acceptor confirms."""
        return self.give(acceptor(node), Confirmed(ballot, round_))

    def test_b10_b27_a_quorum_confirms_by_message(self) -> None:
        """The own acceptor is asked like the others: it may have promised more than its proposer knows."""
        self.open()
        self.assertEqual(self.ask(3, 1), [(acceptor(node), Confirm(FIRST, 1)) for node in (1, 2, 3)])
        self.assertEqual(self.confirm(2, 1), [])
        self.assertEqual(self.confirm(2, 1), [])
        self.assertEqual(self.confirm(3, 1, Ballot(0, 1)), [])
        self.assertEqual(self.confirm(1, 1), [(Address(3, GATEWAY), Barrier(1, 1, 0))])

    def test_b27_not_by_a_round_that_began_before(self) -> None:
        """What was confirmed before the read arrived says nothing about what was acknowledged since."""
        self.open()
        self.ask(2, 1)
        self.assertEqual(self.ask(3, 1), [])
        self.confirm(1, 1)
        sent = self.confirm(2, 1)
        self.assertIn((Address(2, GATEWAY), Barrier(1, 1, 0)), sent)
        self.assertNotIn((Address(3, GATEWAY), Barrier(1, 1, 0)), sent)
        self.assertIn((acceptor(1), Confirm(FIRST, 2)), sent)
        self.assertEqual(self.confirm(3, 1), [])
        self.assertEqual(self.confirm(1, 2), [])
        self.assertEqual(self.confirm(3, 2), [(Address(3, GATEWAY), Barrier(1, 1, 0))])

    def test_not_before_what_was_recovered_is_chosen(self) -> None:
        """A new leader's count is behind what the old one acknowledged until its recovery is done."""
        self.lead((1, SlotRecord(Ballot(1, 0), value(batch(1)))))
        self.assertEqual(self.ask(3, 1), [])
        self.accepted(2, 1)
        sent = self.accepted(1, 1)
        self.assertIn((acceptor(2), Confirm(FIRST, 1)), sent)
        self.confirm(1, 1)
        told = [(acceptor(3), ChosenMark(FIRST, 1)), (Address(3, GATEWAY), Barrier(1, 1, 1))]
        self.assertEqual(self.confirm(2, 1), told, "it can apply what it has to wait for")

    def test_the_barrier_is_the_count_of_that_moment(self) -> None:
        """A write that was counted, and not announced yet, may be acknowledged by the time the read is served."""
        self.open()
        self.submit(batch(1))
        self.ask(3, 1)
        self.accepted(1, 1)
        inject(self.proposer, self.turn, acceptor(2), Accepted(FIRST, 1))
        inject(self.proposer, self.turn, acceptor(1), Confirmed(FIRST, 1))
        sent = inject(self.proposer, self.turn, acceptor(2), Confirmed(FIRST, 1))
        self.assertEqual(sent, [(acceptor(3), ChosenMark(FIRST, 1)), (Address(3, GATEWAY), Barrier(1, 1, 1))])

    def test_b10_a_deposed_leader_serves_no_read(self) -> None:
        """Its successor may have acknowledged writes that it does not know of."""
        self.open()
        self.ask(3, 1)
        self.give(acceptor(3), Nack(FIRST, Ballot(2, 2)))
        self.assertEqual(self.confirm(1, 1), [])
        self.assertEqual(self.confirm(2, 1), [])
        self.assertEqual(self.ask(3, 2), [])

    def test_b10_a_new_lead_asks_everybody_again(self) -> None:
        """Who confirmed the first lead may have promised more before the second."""
        self.open()
        self.ask(3, 1)
        self.confirm(3, 1)
        self.give(here(ELECTOR), StepDown("no quorum"))
        again = Ballot(2, 1)
        self.give(here(ELECTOR), Campaign())
        self.promise(1, ballot=again)
        self.promise(2, ballot=again)
        self.assertEqual(self.ask(3, 2), [(acceptor(node), Confirm(again, 1)) for node in (1, 2, 3)])
        self.assertEqual(self.confirm(1, 1, again), [])
        self.assertEqual(self.confirm(2, 1, again), [(Address(3, GATEWAY), Barrier(1, 2, 0))])

    def test_asks_again(self) -> None:
        """A lost Confirm would keep every read waiting."""
        self.open()
        self.turn.now += 0.2
        self.ask(3, 1)
        self.confirm(3, 1)
        self.assertEqual(self.fire("retransmit", 0.1), marks(0), "it was asked a moment ago")
        sent = self.fire("retransmit", TIMINGS.retransmit_seconds)
        self.assertEqual(sent, [*((acceptor(node), Confirm(FIRST, 1)) for node in (1, 2)), *marks(0)])
        sent = self.give(Address(2, PROPOSER), PeerUp(2, 0xB2, 2))
        self.assertEqual(sent, [(acceptor(2), Confirm(FIRST, 1)), (acceptor(2), ChosenMark(FIRST, 0))])

    def test_who_does_not_lead_answers_nothing(self) -> None:
        """No answer is better than a stale one."""
        self.assertEqual(self.ask(3, 1), [])
