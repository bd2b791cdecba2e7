"""The proposer: phase 1, recovery, phase 2, and what makes it stop."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, CATCHUP, ELECTOR, GATEWAY, LEARNER, PROPOSER, Address
from dkv.ballot import ZERO, Ballot
from dkv.events import (
    Campaign,
    CatchUp,
    CaughtUp,
    Flush,
    Leading,
    Origins,
    PeerUp,
    PromiseRaised,
    ReportOrigins,
    StepDown,
    Stopped,
    TimerFired,
)
from dkv.messages import (
    Accept,
    Accepted,
    Barrier,
    BarrierRequest,
    ChosenMark,
    ChosenOtherwise,
    Confirm,
    Confirmed,
    Nack,
    Prepare,
    Promise,
    Submit,
    Want,
)
from dkv.paxos.proposer import Proposer
from dkv.records import NOOP, Batch, SlotRecord, Value
from dkv.settings import Limits, Timings
from tests.turns import FakeTurn, inject

FIRST = Ballot(1, 1)
TIMINGS = Timings()


def here(role: str) -> Address:
    """An actor of node 1."""
    return Address(1, role)


def acceptor(node: int) -> Address:
    """An acceptor."""
    return Address(node, ACCEPTOR)


def batch(seq: int, node: int = 2) -> Batch:
    """A batch of a node's first boot."""
    return Batch(node, 0xB0 + node, 1, seq, b"%d" % seq)


class OneProposer(SynchronousTestCase):
    """Proposer 1 of three."""

    limits = Limits(window_slots_max=2)

    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.proposer = Proposer(1, (1, 2, 3), self.limits, TIMINGS)
        self.proposer.start(self.turn)

    def give(self, sender: Address, message: Any) -> list[tuple[Address, Any]]:
        """Inject, and what it sends itself behind that; everything else that was sent."""
        self.turn.take()
        sent = inject(self.proposer, self.turn, sender, message)
        while (here(PROPOSER), Flush()) in sent:
            sent.remove((here(PROPOSER), Flush()))
            sent += inject(self.proposer, self.turn, here(PROPOSER), Flush())
        return sent

    def promise(
        self, node: int, *records: tuple[int, SlotRecord], through: int = 0, ballot: Ballot = FIRST
    ) -> list[tuple[Address, Any]]:
        """Give a whole Promise."""
        return self.give(acceptor(node), Promise(ballot, through, 0, 1, 0, 1, records))

    def lead(self, *records: tuple[int, SlotRecord], through: int = 0) -> list[tuple[Address, Any]]:
        """Campaign and be promised; what is sent when it leads."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=through)
        return self.promise(2, *records, through=through)

    def open(self) -> None:
        """Lead, with nothing to recover and no batch known of anybody."""
        self.lead()
        self.give(here(LEARNER), Origins(FIRST, ()))

    def submit(self, *batches: Batch) -> list[tuple[Address, Any]]:
        """A gateway's batches."""
        return self.give(Address(batches[0].node, GATEWAY), Submit(batches))

    def accepted(self, node: int, slot: int, ballot: Ballot = FIRST) -> list[tuple[Address, Any]]:
        """A vote."""
        return self.give(acceptor(node), Accepted(ballot, slot))

    def fire(self, name: str, later: float) -> list[tuple[Address, Any]]:
        """A timer, some time later."""
        self.turn.now += later
        return self.give(here(PROPOSER), TimerFired(name))


def accepts(sent: list[tuple[Address, Any]]) -> list[tuple[int, int, Value]]:
    """(acceptor, slot, value) of the Accepts."""
    return [(to.node, message.slot, message.value) for to, message in sent if isinstance(message, Accept)]


class Phase1Tests(OneProposer):
    def test_b3_reserved_on_the_own_disk_first(self) -> None:
        """A ballot that others heard of and a crash forgot would be used again, for other values."""
        sent = self.give(here(ELECTOR), Campaign())
        self.assertEqual(sent, [(acceptor(1), Prepare(FIRST, 1))])
        sent = self.promise(1, through=4)
        self.assertEqual(sent, [(acceptor(2), Prepare(FIRST, 5)), (acceptor(3), Prepare(FIRST, 5))])

    def test_b3_above_every_ballot_seen(self) -> None:
        """The acceptor says at its start what it has promised: rounds never repeat."""
        self.give(here(ACCEPTOR), PromiseRaised(Ballot(7, 3)))
        self.give(acceptor(2), Nack(ZERO, Ballot(9, 2)))
        sent = self.give(here(ELECTOR), Campaign())
        self.assertEqual(sent, [(acceptor(1), Prepare(Ballot(10, 1), 1))])

    def test_b4_only_promises_for_this_ballot(self) -> None:
        """A late Promise of an earlier attempt must not make a leader."""
        self.give(here(ACCEPTOR), PromiseRaised(Ballot(7, 3)))
        self.give(here(ELECTOR), Campaign())
        self.promise(1, ballot=Ballot(8, 1))
        self.promise(2, ballot=FIRST)
        self.assertNotIn("leading", self.turn.noted())
        self.promise(2, ballot=Ballot(8, 1))
        self.assertIn("leading", self.turn.noted())

    def test_leads_with_a_quorum(self) -> None:
        """What was found is proposed again, in this ballot, before anything new."""
        sent = self.lead((2, SlotRecord(Ballot(1, 0), (batch(1),))))
        self.assertEqual(accepts(sent)[:3], [(1, 1, NOOP), (2, 1, NOOP), (3, 1, NOOP)])
        self.assertEqual(accepts(sent)[3:], [(node, 2, (batch(1),)) for node in (1, 2, 3)])
        self.assertIn((here(ELECTOR), Leading(FIRST)), sent)
        self.assertIn((here(LEARNER), ReportOrigins(FIRST, 2)), sent)

    def test_catches_up_first(self) -> None:
        """A leader that lacks chosen slots cannot say which batch is next."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=3)
        sent = self.promise(2, through=9)
        self.assertEqual(sent, [(here(CATCHUP), CatchUp(9, 2))])
        self.assertEqual(self.give(here(CATCHUP), CaughtUp(8)), [])
        sent = self.give(here(CATCHUP), CaughtUp(9))
        self.assertIn((here(ELECTOR), Leading(FIRST)), sent)
        self.assertNotIn("progress", self.turn.timers)

    def test_another_ballot_if_it_cannot_catch_up(self) -> None:
        """Who knew may have died: another quorum may know less."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1)
        self.promise(2, through=9)
        sent = self.fire("progress", TIMINGS.phase1_idle_seconds)
        self.assertEqual(sent, [(acceptor(1), Prepare(Ballot(2, 1), 1))])

    def test_ends_if_nobody_promises(self) -> None:
        """A campaign that waits for ever would depose a healthy leader, minutes later, when the network is back."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1)
        sent = self.fire("progress", TIMINGS.phase1_idle_seconds)
        self.assertEqual(sent, [(here(ELECTOR), Stopped(FIRST, FIRST, False))])
        self.assertEqual(self.fire("retransmit", 1.0), [])

    def test_prepares_again(self) -> None:
        """A lost Prepare is sent again to who has not answered: soon to a peer that comes up, not to a stale poll."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1)
        again = [(acceptor(2), Prepare(FIRST, 1)), (acceptor(3), Prepare(FIRST, 1))]
        self.assertEqual(self.fire("retransmit", 0.3), again)
        self.assertEqual(self.give(Address(3, PROPOSER), PeerUp(3, 0xB3, 1)), again[1:])
        self.turn.now += TIMINGS.election_seconds_max
        self.assertEqual(self.give(Address(3, PROPOSER), PeerUp(3, 0xB3, 1)), [])

    def test_a_campaign_under_way_goes_on(self) -> None:
        """To begin again with each poll would never end on slow disks."""
        self.give(here(ELECTOR), Campaign())
        self.assertEqual(self.give(here(ELECTOR), Campaign()), [])


class Phase2Tests(OneProposer):
    def test_batches_of_one_moment_share_a_slot(self) -> None:
        """One slot for many batches, one commit for many writes."""
        self.open()
        self.turn.take()
        for each in (batch(1), batch(2)):
            inject(self.proposer, self.turn, Address(2, GATEWAY), Submit((each,)))
        sent = inject(self.proposer, self.turn, here(PROPOSER), Flush())
        self.assertEqual(accepts(sent), [(node, 1, (batch(1), batch(2))) for node in (1, 2, 3)])

    def test_b28_out_of_order_is_refused(self) -> None:
        """A later batch must not be proposed before an earlier one; the origin is told which one is wanted."""
        self.open()
        self.assertEqual(self.submit(batch(2)), [(Address(2, GATEWAY), Want(1, 1))])

    def test_b16_foreign_batches_are_refused(self) -> None:
        """A node that submits in another's name would have its writes acknowledged there."""
        self.open()
        self.assertEqual(self.give(Address(3, GATEWAY), Submit((batch(1, node=2),))), [])
        self.assertIn("foreign_batch_refused", self.turn.noted())

    def test_submits_before_the_origins_are_known_wait(self) -> None:
        """A new leader that takes a batch which is in the log already proposes it twice."""
        self.lead()
        self.assertEqual(self.submit(batch(8)), [])
        sent = self.give(here(LEARNER), Origins(FIRST, ((2, 0xB2, 1, 7),)))
        self.assertEqual({value for _, _, value in accepts(sent)}, {(batch(8),)})

    def test_a_follower_drops(self) -> None:
        """Passing on what came to the wrong node could go in circles."""
        self.assertEqual(self.submit(batch(1)), [])

    def test_b2_b23_b25_announces_what_it_counted(self) -> None:
        """Only a quorum of Accepteds in its own ballot, its own by message like the rest, makes a slot chosen."""
        self.open()
        self.submit(batch(1))
        for ballot in (Ballot(0, 1), Ballot(2, 1)):
            self.assertEqual(self.accepted(2, 1, ballot), [])
        self.assertEqual(self.accepted(2, 1), [])
        self.assertEqual(self.give(here(CATCHUP), CaughtUp(9)), [])
        sent = self.accepted(1, 1)
        self.assertEqual(sent, [(acceptor(node), ChosenMark(FIRST, 1)) for node in (1, 2, 3)])

    def test_the_mark_rides_on_accepts(self) -> None:
        """When there is something to propose, the mark costs no message."""
        self.open()
        self.submit(batch(1))
        self.submit(batch(2))
        self.assertEqual(self.submit(batch(3)), [], "the window is full")
        self.accepted(1, 1)
        sent = self.accepted(3, 1)
        self.assertEqual(sent, [(acceptor(node), Accept(FIRST, 3, (batch(3),), 1)) for node in (1, 2, 3)])

    def test_sends_again(self) -> None:
        """A lost Accept would keep the slot, and all behind it, open for ever."""
        self.open()
        self.submit(batch(1))
        self.accepted(3, 1)
        self.assertEqual(accepts(self.fire("retransmit", TIMINGS.retransmit_seconds + 0.01)), [(2, 1, (batch(1),))])
        self.assertEqual(
            accepts(self.fire("retransmit", TIMINGS.retransmit_seconds + 0.01)), [], "the next one takes longer"
        )
        self.assertEqual(accepts(self.give(Address(2, PROPOSER), PeerUp(2, 0xB2, 2))), [(2, 1, (batch(1),))])
        self.assertEqual(accepts(self.give(Address(3, PROPOSER), PeerUp(3, 0xB3, 2))), [])

    def test_large_values_go_one_by_one(self) -> None:
        """What the disks owe is bounded: a commit of many seconds looks like a disk that is stuck."""
        self.proposer = Proposer(1, (1, 2, 3), Limits(), TIMINGS)
        self.open()
        large = [Batch(2, 0xB2, 1, seq, b"x" * (5 << 20)) for seq in (1, 2, 3)]
        sent = self.submit(*large)
        self.assertEqual([slot for node, slot, _ in accepts(sent) if node == 2], [1, 2])
        self.accepted(1, 1)
        self.assertEqual([slot for node, slot, _ in accepts(self.accepted(2, 1)) if node == 2], [3])


class StopTests(OneProposer):
    def assert_stopped(self, sent: list[tuple[Address, Any]], by: Ballot) -> None:
        """It says so, and proposes nothing any more."""
        self.assertIn((here(ELECTOR), Stopped(FIRST, by, True)), sent)
        self.assertEqual(self.submit(batch(5)), [])
        self.assertEqual(self.accepted(2, 1), [])

    def test_b10_overtaken(self) -> None:
        """A leader that goes on after a higher ballot was promised competes with its successor."""
        for sender, message in (
            (acceptor(3), Nack(FIRST, Ballot(2, 2))),
            (here(ACCEPTOR), PromiseRaised(Ballot(2, 2))),
        ):
            self.setUp()
            self.open()
            self.assert_stopped(self.give(sender, message), Ballot(2, 2))

    def test_chosen_otherwise(self) -> None:
        """A leader whose slot is settled with another value has missed something: it must not go on."""
        self.open()
        self.submit(batch(1))
        self.assert_stopped(self.give(acceptor(3), ChosenOtherwise(FIRST, 1)), FIRST)

    def test_no_quorum(self) -> None:
        """The elector's word is enough."""
        self.open()
        self.assert_stopped(self.give(here(ELECTOR), StepDown("no quorum")), FIRST)

    def test_a_stuck_disk(self) -> None:
        """A node whose disk has died still has a voice; it must give the lead away."""
        self.open()
        self.submit(batch(1))
        self.accepted(2, 1)
        self.accepted(3, 1)
        self.assertNotIn("stepped_down", self.turn.noted())
        self.assert_stopped(self.fire("retransmit", TIMINGS.stuck_disk_seconds + 0.1), FIRST)

    def test_news_of_lower_ballots(self) -> None:
        """A Nack for an earlier attempt of its own must not end a healthy lead."""
        self.open()
        self.give(acceptor(3), Nack(Ballot(0, 1), FIRST))
        self.give(here(ACCEPTOR), PromiseRaised(Ballot(1, 0)))
        self.assertNotIn("stepped_down", self.turn.noted())


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
        self.confirm(3, 2)
        self.assertEqual(self.confirm(1, 2), [(Address(3, GATEWAY), Barrier(1, 1, 0))])

    def test_not_before_what_was_recovered_is_chosen(self) -> None:
        """A new leader's count is behind what the old one acknowledged until its recovery is done."""
        self.lead((1, SlotRecord(Ballot(1, 0), (batch(1),))))
        self.assertEqual(self.ask(3, 1), [])
        self.accepted(2, 1)
        sent = self.accepted(1, 1)
        self.assertIn((acceptor(2), Confirm(FIRST, 1)), sent)
        self.confirm(1, 1)
        self.assertEqual(self.confirm(2, 1), [(Address(3, GATEWAY), Barrier(1, 1, 1))])

    def test_asks_again(self) -> None:
        """A lost Confirm would keep every read waiting."""
        self.open()
        self.ask(3, 1)
        self.confirm(3, 1)
        sent = self.fire("retransmit", TIMINGS.retransmit_seconds + 0.01)
        self.assertEqual(sent, [(acceptor(node), Confirm(FIRST, 1)) for node in (1, 2)])

    def test_who_does_not_lead_answers_nothing(self) -> None:
        """No answer is better than a stale one."""
        self.assertEqual(self.ask(3, 1), [])
