"""The proposer in classic mode: one slot after the other, and never in the way of others for long."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, CATCHUP, GATEWAY, LEARNER, PROPOSER, Address
from dkv.ballot import ZERO, Ballot
from dkv.configurations import first_configurations
from dkv.events import CaughtUp, Origins, PeerUp, PromiseRaised, ReportOrigins, TimerFired
from dkv.messages import (
    AcceptedSlot,
    AcceptSlot,
    NackSlot,
    PrepareSlot,
    PromiseSlot,
    SlotChosen,
    SlotSettled,
    Submit,
)
from dkv.paxos.classic.patience import WAIT_SECONDS_MIN
from dkv.paxos.classic.proposer import ClassicProposer
from dkv.records import Batch, SlotRecord, Value
from dkv.settings import Limits, Timings
from tests.turns import FakeTurn, inject

MEMBERS = (1, 2, 3)
OWN, OTHER = 0xA1, 0xB2
R1, R2 = Ballot(1, 1), Ballot(2, 1)
THEIRS = Ballot(1, 2)


def batch(seq: int, node: int = 1) -> Batch:
    """A batch of the proposer's own node, or of another."""
    return Batch(node, OWN if node == 1 else OTHER, 1, seq, b"blob")


def value(*batches: Batch) -> Value:
    """What is proposed for a slot, without a stamp."""
    return Value(batches)


def acceptor(node: int) -> Address:
    """Where a node's acceptor is."""
    return Address(node, ACCEPTOR)


class OneProposer(SynchronousTestCase):
    """Proposer 1 of three."""

    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.proposer = ClassicProposer(1, first_configurations(MEMBERS), Limits(), Timings())
        self.proposer.start(self.turn)

    def give(self, sender: Address, message: Any) -> list[tuple[Address, Any]]:
        """Inject; what it sends."""
        return inject(self.proposer, self.turn, sender, message)

    def submit(self, *seqs: int) -> list[tuple[Address, Any]]:
        """Batches of its own gateway."""
        return self.give(Address(1, GATEWAY), Submit(tuple(batch(seq) for seq in seqs)))

    def origins(self, ballot: Ballot, seq: int = 0, through: int = 999) -> list[tuple[Address, Any]]:
        """The learner has applied the own batches up to ``seq``."""
        return self.give(Address(1, LEARNER), Origins(ballot, through, ((1, OWN, 1, seq), (2, OTHER, 1, 9))))

    def promise(self, node: int, ballot: Ballot, slot: int, record: SlotRecord | None = None) -> list[Any]:
        """A Promise."""
        return self.give(acceptor(node), PromiseSlot(ballot, slot, record))

    def nack(self, node: int, ballot: Ballot, slot: int, promised: Ballot, floor: Ballot = ZERO) -> list[Any]:
        """A refusal."""
        return self.give(acceptor(node), NackSlot(ballot, slot, promised, floor))

    def accepted(self, node: int, ballot: Ballot, slot: int) -> list[tuple[Address, Any]]:
        """A vote."""
        return self.give(acceptor(node), AcceptedSlot(ballot, slot))

    def settled(self, node: int, slot: int, through: int) -> list[tuple[Address, Any]]:
        """An acceptor says that a slot is chosen."""
        return self.give(acceptor(node), SlotSettled(slot, through))

    def fire(self, name: str) -> list[tuple[Address, Any]]:
        """A timer is due."""
        self.turn.now = self.turn.timers.pop(name)
        return self.give(Address(1, PROPOSER), TimerFired(name))

    def prepare(self, ballot: Ballot = R1, slot: int = 1) -> None:
        """Up to the Prepares to the others, for batch 1."""
        self.submit(1)
        self.origins(ballot)
        self.promise(1, ballot, slot)

    def propose(self) -> None:
        """Up to the Accepts for batch 1 in slot 1."""
        self.prepare()
        self.promise(2, R1, 1)

    def to_all(self, message: Any) -> list[tuple[Address, Any]]:
        """A message to every acceptor."""
        return [(acceptor(node), message) for node in MEMBERS]


class WriteTests(OneProposer):
    def test_a_batch(self) -> None:
        """Ask, reserve, prepare, accept, and tell: two round trips."""
        self.assertEqual(self.submit(1), [(Address(1, LEARNER), ReportOrigins(R1, 0))])
        self.assertEqual(self.origins(R1), [(acceptor(1), PrepareSlot(R1, 1))])
        self.assertEqual(self.promise(1, R1, 1), [(acceptor(node), PrepareSlot(R1, 1)) for node in (2, 3)])
        self.assertEqual(self.promise(3, R1, 1), self.to_all(AcceptSlot(R1, 1, value(batch(1)))))
        self.assertEqual(self.accepted(1, R1, 1), [])
        self.assertEqual(self.accepted(2, R1, 1), self.to_all(SlotChosen(R1, 1)))
        self.assertEqual(self.settled(1, 1, 1), [])
        self.assertEqual(self.turn.timers, {}, "an idle node does nothing")

    def test_b3_no_peer_hears_of_it_before_the_own_promise(self) -> None:
        """What is not reserved on disk may be used again after a crash."""
        self.submit(1)
        self.origins(R1)
        self.assertEqual(self.promise(2, R1, 1), [])

    def test_batches_that_came_meanwhile_share_the_next_slot(self) -> None:
        """Throughput under load: a slot takes what has gathered, in order."""
        self.propose()
        self.assertEqual(self.submit(2, 3), [])
        self.accepted(1, R1, 1)
        self.accepted(2, R1, 1)
        self.assertEqual(self.settled(1, 1, 1), [(Address(1, LEARNER), ReportOrigins(R1, 1))])
        self.origins(R1, seq=1)
        self.promise(1, R1, 2)
        self.assertEqual(self.promise(2, R1, 2), self.to_all(AcceptSlot(R1, 2, value(batch(2), batch(3)))))

    def test_what_was_applied_is_not_proposed(self) -> None:
        """A batch that its gateway sent again takes no slot a second time."""
        self.submit(1)
        self.assertEqual(self.origins(R1, seq=1), [])
        self.assertEqual(self.turn.timers, {})

    def test_only_what_is_next(self) -> None:
        """A batch behind a missing one would be skipped by every learner."""
        self.submit(2)
        self.assertEqual(self.origins(R1), [])

    def test_late_answers_of_the_learner(self) -> None:
        """What was applied before an earlier slot says nothing about this one."""
        self.submit(1)
        self.assertEqual(self.origins(Ballot(9, 1)), [])

    def test_foreign_batches(self) -> None:
        """A gateway has its own proposer."""
        self.assertEqual(self.give(Address(2, GATEWAY), Submit((batch(1, node=2),))), [])
        self.assertEqual(self.turn.noted(), ["foreign_batch_refused"])

    def test_lost_messages(self) -> None:
        """Nothing that is lost between nodes may stop a write for ever; nor is a slow peer flooded."""
        self.prepare()
        self.assertEqual(self.fire("retransmit"), [(acceptor(node), PrepareSlot(R1, 1)) for node in (2, 3)])
        seconds = Timings().retransmit_seconds
        self.assertEqual(self.turn.timers["retransmit"] - self.turn.now, 2 * seconds)
        self.fire("retransmit")
        self.assertEqual(self.turn.timers["retransmit"] - self.turn.now, 4 * seconds)
        self.promise(2, R1, 1)
        self.assertEqual(self.turn.timers["retransmit"] - self.turn.now, seconds)
        self.accepted(2, R1, 1)
        self.assertEqual(self.fire("retransmit"), [(acceptor(3), AcceptSlot(R1, 1, value(batch(1))))])
        self.assertEqual(self.turn.timers["retransmit"] - self.turn.now, 2 * seconds)
        peer_up = PeerUp(3, 1, 1)
        self.assertEqual(self.give(Address(3, PROPOSER), peer_up), [(acceptor(3), AcceptSlot(R1, 1, value(batch(1))))])

    def test_alone(self) -> None:
        """A cluster of one needs nobody else."""
        self.proposer = ClassicProposer(1, first_configurations((1,)), Limits(), Timings())
        self.submit(1)
        self.origins(R1)
        self.assertEqual(self.promise(1, R1, 1), [(acceptor(1), AcceptSlot(R1, 1, value(batch(1))))])
        self.assertEqual(self.accepted(1, R1, 1), [(acceptor(1), SlotChosen(R1, 1))])


class OtherValuesTests(OneProposer):
    """What others may have chosen comes first."""

    def reported(self, *records: SlotRecord | None) -> Value:
        """What is proposed when the own acceptor and node 2 report these."""
        self.submit(1)
        self.origins(R1)
        for node, record in enumerate(records, 1):
            sent = self.promise(node, R1, 1, record)
        return sent[0][1].value  # type: ignore[no-any-return]

    def test_a_reported_value(self) -> None:
        """Whatever a quorum's member holds may be chosen."""
        theirs = value(batch(4, node=2))
        self.assertEqual(self.reported(None, SlotRecord(ZERO, theirs)), theirs)

    def test_b26_the_strongest(self) -> None:
        """Chosen beats any ballot, then the highest ballot wins."""
        old, new = value(batch(4, node=2)), value(batch(5, node=2))
        self.assertEqual(self.reported(SlotRecord(Ballot(0, 2), old), SlotRecord(Ballot(0, 3), new)), new)
        self.setUp()
        self.assertEqual(self.reported(SlotRecord(ZERO, old, chosen=True), SlotRecord(Ballot(0, 3), new)), old)

    def test_then_its_own(self) -> None:
        """The own batch is still there for the next slot."""
        theirs = value(batch(4, node=2))
        self.reported(None, SlotRecord(ZERO, theirs))
        self.accepted(1, R1, 1)
        self.accepted(2, R1, 1)
        self.settled(1, 1, 1)
        self.origins(R1)
        self.promise(1, R1, 2)
        self.assertEqual(self.promise(2, R1, 2), self.to_all(AcceptSlot(R1, 2, value(batch(1)))))

    def test_b4_late_promises(self) -> None:
        """A Promise for an earlier ballot or another slot says nothing about this one."""
        self.prepare()
        for promise in (PromiseSlot(Ballot(1, 2), 1, None), PromiseSlot(R2, 1, None), PromiseSlot(R1, 2, None)):
            self.assertEqual(self.give(acceptor(2), promise), [])

    def test_late_votes(self) -> None:
        """Nor does a vote."""
        self.propose()
        self.accepted(1, R1, 1)
        for vote in (AcceptedSlot(R2, 1), AcceptedSlot(R1, 2), AcceptedSlot(THEIRS, 1)):
            self.assertEqual(self.give(acceptor(2), vote), [])


class ContentionTests(OneProposer):
    def test_somebody_is_at_work(self) -> None:
        """The own acceptor has promised the slot to another: that one is left alone, for a random while."""
        self.submit(1)
        self.origins(R1)
        self.assertEqual(self.nack(1, R1, 1, THEIRS), [])
        wait = self.turn.timers["again"] - self.turn.now
        self.assertTrue(WAIT_SECONDS_MIN <= wait <= 2 * WAIT_SECONDS_MIN, wait)
        self.assertEqual(self.fire("again"), [(Address(1, LEARNER), ReportOrigins(R2, 0))])

    def test_patience_grows(self) -> None:
        """Two that overtake each other at the same pace never end."""
        waits = []
        self.submit(1)
        for round_ in range(1, 7):
            self.origins(Ballot(round_, 1))
            self.nack(1, Ballot(round_, 1), 1, Ballot(round_, 2))
            waits.append(self.turn.timers["again"] - self.turn.now)
            self.fire("again")
        self.assertGreater(min(waits[4:]), max(waits[:2]))

    def test_settled_by_another(self) -> None:
        """The next slot at once, one round higher than who has not lost any, so that all have their turn."""
        self.submit(1)
        self.origins(R1)
        self.nack(1, R1, 1, THEIRS)
        self.assertEqual(self.settled(1, 1, 1), [(Address(1, LEARNER), ReportOrigins(R2, 1))])
        self.assertEqual(self.origins(R2), [(acceptor(1), PrepareSlot(R2, 2))])

    def test_a_win_ends_the_precedence(self) -> None:
        """Who has just won a slot lets others go first."""
        self.test_settled_by_another()
        self.promise(1, R2, 2)
        self.promise(2, R2, 2)
        self.submit(2)
        self.accepted(1, R2, 2)
        self.accepted(2, R2, 2)
        self.assertEqual(self.settled(1, 2, 2), [(Address(1, LEARNER), ReportOrigins(R1, 2))])

    def test_one_refusal_of_three(self) -> None:
        """The other two are a quorum."""
        self.prepare()
        self.assertEqual(self.nack(2, R1, 1, THEIRS), [])
        self.assertEqual(self.promise(3, R1, 1), self.to_all(AcceptSlot(R1, 1, value(batch(1)))))
        self.nack(2, R1, 1, THEIRS)
        self.accepted(1, R1, 1)
        self.assertEqual(self.accepted(3, R1, 1), self.to_all(SlotChosen(R1, 1)))

    def test_one_refusal_and_a_dead_node(self) -> None:
        """Nobody else will answer: a higher round it must be, after a while."""
        self.prepare()
        self.nack(2, R1, 1, Ballot(4, 2))
        self.assertEqual(self.fire("again"), [(Address(1, LEARNER), ReportOrigins(Ballot(5, 1), 0))])

    def test_refused_again_and_again(self) -> None:
        """A node that is asked again refuses again: that does not put off the higher round, or it never comes."""
        self.prepare()
        self.nack(2, R1, 1, Ballot(4, 2))
        due = self.turn.timers["again"]
        self.turn.now = due - 0.001
        self.nack(2, R1, 1, Ballot(4, 2))
        self.assertEqual(self.turn.timers["again"], due)

    def test_two_refusals(self) -> None:
        """No quorum is left for this ballot."""
        self.propose()
        self.nack(1, R1, 1, THEIRS)
        self.nack(2, R1, 1, THEIRS)
        self.accepted(3, R1, 1)
        self.assertEqual(self.accepted(1, R1, 1), [], "it has given the ballot up")
        self.fire("again")
        self.assertEqual(self.origins(R2), [(acceptor(1), PrepareSlot(R2, 1))])

    def test_late_refusals(self) -> None:
        """They are of a ballot that is given up already."""
        self.prepare()
        self.nack(2, Ballot(7, 1), 1, Ballot(8, 2))
        self.nack(3, R1, 9, Ballot(8, 2))
        self.assertNotIn("again", self.turn.timers)

    def test_an_earlier_life(self) -> None:
        """Nobody is at work under a ballot of this node's last life: no need to wait."""
        self.submit(1)
        self.origins(R1)
        self.assertEqual(self.nack(1, R1, 1, Ballot(3, 1)), [(Address(1, LEARNER), ReportOrigins(Ballot(4, 1), 0))])

    def test_promises_of_leader_mode(self) -> None:
        """After a switch each slot would begin with refusals, were the promises for every slot not remembered."""
        self.give(acceptor(1), PromiseRaised(Ballot(5, 3)))
        self.assertEqual(self.submit(1), [(Address(1, LEARNER), ReportOrigins(Ballot(6, 1), 0))])
        self.origins(Ballot(6, 1))
        self.promise(1, Ballot(6, 1), 1)
        for node in (2, 3):
            sent = self.nack(node, Ballot(6, 1), 1, Ballot(7, 3), floor=Ballot(7, 3))
        self.assertEqual(sent, [(Address(1, LEARNER), ReportOrigins(Ballot(8, 1), 0))])
        self.settled(1, 1, 1)
        self.assertEqual(self.origins(Ballot(8, 1)), [(acceptor(1), PrepareSlot(Ballot(8, 1), 2))])


class BehindTests(OneProposer):
    def test_the_own_node_knows_more(self) -> None:
        """A proposer that slept finds the next slot by asking its own acceptor."""
        self.submit(1)
        self.origins(R1)
        self.assertEqual(self.settled(1, 1, 40), [(Address(1, LEARNER), ReportOrigins(R1, 40))])
        self.assertEqual(self.origins(R1), [(acceptor(1), PrepareSlot(R1, 41))])

    def test_peers_know_more(self) -> None:
        """A node that missed slots fetches them before it proposes: it must not fight for slots that are settled."""
        self.prepare()
        self.assertEqual(self.settled(2, 1, 40), [])
        self.assertEqual(self.settled(1, 1, 20), [], "still behind")
        self.assertEqual(self.give(Address(1, CATCHUP), CaughtUp(30)), [])
        sent = self.give(Address(1, CATCHUP), CaughtUp(41))
        self.assertEqual(sent, [(Address(1, LEARNER), ReportOrigins(R1, 41))])

    def test_who_knew_has_died(self) -> None:
        """It tries again, rather than wait for what nobody can tell."""
        self.prepare()
        self.settled(2, 1, 40)
        wait, retransmit = self.turn.timers["again"] - self.turn.now, Timings().retransmit_seconds
        self.assertTrue(retransmit < wait <= retransmit + 2 * WAIT_SECONDS_MIN, "time to fetch, then its patience")
        self.fire("again")
        self.assertEqual(self.origins(R2), [(acceptor(1), PrepareSlot(R2, 1))])

    def test_the_own_acceptor_does_not_hear_that_it_is_chosen(self) -> None:
        """Its own vote may have been refused: then the slot is tried again, with the same value."""
        self.propose()
        self.accepted(2, R1, 1)
        self.accepted(3, R1, 1)
        self.fire("again")
        self.origins(R2)
        self.promise(1, R2, 1)
        self.assertEqual(
            self.promise(2, R2, 1, SlotRecord(R1, value(batch(1)))), self.to_all(AcceptSlot(R2, 1, value(batch(1))))
        )

    def test_answers_about_other_slots(self) -> None:
        """They come late."""
        self.prepare()
        self.assertEqual(self.settled(1, 7, 9), [])
        self.assertEqual(self.settled(1, 1, 0), [], "it is chosen above a gap, which must be closed first")
