"""The proposer: phase 1, recovery, phase 2, and what makes it stop."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, CATCHUP, ELECTOR, GATEWAY, LEARNER, PROPOSER, Address
from dkv.ballot import ZERO, Ballot
from dkv.configurations import first_configurations
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
    ChosenMark,
    ChosenOtherwise,
    GiveWay,
    Nack,
    Prepare,
    Promise,
    Submit,
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


def value(*batches: Batch) -> Value:
    """What is proposed for a slot, without a stamp."""
    return Value(batches)


def marks(through: int) -> list[tuple[Address, Any]]:
    """What a leader in the first ballot tells all acceptors again and again."""
    return [(acceptor(node), ChosenMark(FIRST, through)) for node in (1, 2, 3)]


class OneProposer(SynchronousTestCase):
    """Proposer 1 of three."""

    limits = Limits(window_slots_max=2)

    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.proposer = Proposer(1, first_configurations((1, 2, 3)), self.limits, TIMINGS)
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
        self, node: int, *records: tuple[int, SlotRecord], through: int = 0, compacted: int = 0, ballot: Ballot = FIRST
    ) -> list[tuple[Address, Any]]:
        """Give a whole Promise."""
        return self.give(acceptor(node), Promise(ballot, through, compacted, 1, 0, 1, records))

    def lead(self, *records: tuple[int, SlotRecord], through: int = 0) -> list[tuple[Address, Any]]:
        """Campaign and be promised; what is sent when it leads."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=through)
        return self.promise(2, *records, through=through)

    def open(self) -> None:
        """Lead, with nothing to recover and no batch known of anybody."""
        self.lead()
        self.give(here(LEARNER), Origins(FIRST, 0, ()))

    def submit(self, *batches: Batch) -> list[tuple[Address, Any]]:
        """A gateway's batches."""
        return self.give(Address(batches[0].node, GATEWAY), Submit(batches))

    def accepted(self, node: int, slot: int, ballot: Ballot = FIRST) -> list[tuple[Address, Any]]:
        """A vote."""
        return self.give(acceptor(node), Accepted(ballot, slot))

    def fire(self, name: str, later: float) -> list[tuple[Address, Any]]:
        """A timer that was set, some time later."""
        del self.turn.timers[name]
        self.turn.now += later
        return self.give(here(PROPOSER), TimerFired(name))

    def due(self) -> dict[str, float]:
        """In how many seconds each timer fires, to the millisecond."""
        return {name: round(at - self.turn.now, 3) for name, at in self.turn.timers.items()}


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

    def test_b3_nobody_hears_of_a_ballot_before_that(self) -> None:
        """Nor may the clock, a peer that comes up, a stray Promise or half of the own one give it away."""
        self.give(here(ELECTOR), Campaign())
        self.assertEqual(self.give(Address(2, PROPOSER), PeerUp(2, 0xB2, 1)), [])
        self.assertEqual(self.promise(2), [])
        self.assertEqual(self.give(acceptor(1), Promise(FIRST, 0, 0, 1, 0, 2, ())), [])
        waits = []
        for _ in range(3):
            waits.append(self.due()["retransmit"])
            self.assertEqual(self.fire("retransmit", waits[-1]), [(acceptor(1), Prepare(FIRST, 1))])
        self.assertEqual(waits, [TIMINGS.retransmit_seconds * times for times in (1, 2, 4)])

    def test_b3_above_every_ballot_seen(self) -> None:
        """The acceptor says at its start what it has promised: rounds never repeat, whatever is heard later."""
        self.give(here(ACCEPTOR), PromiseRaised(Ballot(7, 3)))
        self.give(acceptor(2), Nack(ZERO, Ballot(9, 2)))
        self.give(acceptor(3), Nack(ZERO, Ballot(4, 2)))
        self.give(here(ACCEPTOR), PromiseRaised(Ballot(8, 2)))
        sent = self.give(here(ELECTOR), Campaign())
        self.assertEqual(sent, [(acceptor(1), Prepare(Ballot(10, 1), 1))])
        self.give(here(ELECTOR), StepDown("a leader was found"))
        sent = self.give(here(ELECTOR), Campaign())
        self.assertEqual(sent, [(acceptor(1), Prepare(Ballot(11, 1), 1))])

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
        sent = self.lead((2, SlotRecord(Ballot(1, 0), value(batch(1)))))
        self.assertEqual(accepts(sent)[:3], [(1, 1, NOOP), (2, 1, NOOP), (3, 1, NOOP)])
        self.assertEqual(accepts(sent)[3:], [(node, 2, value(batch(1))) for node in (1, 2, 3)])
        self.assertIn((here(ELECTOR), Leading(FIRST)), sent)
        self.assertIn((here(LEARNER), ReportOrigins(FIRST, 2)), sent)
        self.assertEqual(sent[-3:], [(acceptor(node), Accept(FIRST, 2, value(batch(1)), 0)) for node in (1, 2, 3)])
        self.assertEqual(self.due(), {"retransmit": TIMINGS.retransmit_seconds})

    def test_says_so_at_once(self) -> None:
        """With nothing to propose the others would hear of the new leader only at its next heartbeat."""
        self.assertEqual(self.lead()[-3:], [(acceptor(node), ChosenMark(FIRST, 0)) for node in (1, 2, 3)])

    def test_later_promises_change_nothing(self) -> None:
        """A third Promise, or a timer that fired just before, must not disturb who leads already."""
        self.lead()
        timers = dict(self.turn.timers)
        self.assertEqual(self.promise(3, (1, SlotRecord(Ballot(1, 0), value(batch(1)))), through=7), [])
        self.assertEqual(self.give(here(PROPOSER), TimerFired("progress")), [])
        self.assertEqual(self.turn.timers, timers)
        self.assertNotIn("stepped_down", self.turn.noted())

    def test_catches_up_first(self) -> None:
        """A leader that lacks chosen slots cannot say which batch is next."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=3)
        sent = self.promise(2, through=9)
        self.assertEqual(sent, [(here(CATCHUP), CatchUp(4, 9, 2))])
        self.assertEqual(self.give(here(CATCHUP), CaughtUp(8)), [])
        sent = self.give(here(CATCHUP), CaughtUp(9))
        self.assertIn((here(ELECTOR), Leading(FIRST)), sent)
        self.assertNotIn("progress", self.turn.timers)

    def test_catching_up_may_take_long_while_it_helps(self) -> None:
        """Far behind on a slow link, a node would never lead; but one whom nobody helps must not wait for ever."""
        self.give(here(ELECTOR), Campaign())
        due = {"retransmit": TIMINGS.retransmit_seconds, "progress": TIMINGS.phase1_idle_seconds}
        self.assertEqual(self.due(), due)
        for give, extends in (
            (lambda: self.promise(1), True),
            (lambda: self.promise(2, through=9), True),
            (lambda: self.give(here(CATCHUP), CaughtUp(5)), True),
            (lambda: self.give(here(CATCHUP), CaughtUp(5)), False),
        ):
            self.turn.now += 1.0
            give()
            self.assertEqual(self.due()["progress"] == TIMINGS.phase1_idle_seconds, extends)

    def test_proposes_nothing_that_it_holds(self) -> None:
        """What was caught up with between two Promises is chosen: a no-op proposed there would be another value."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=3)
        self.give(here(CATCHUP), CaughtUp(9))
        sent = self.promise(2, (10, SlotRecord(Ballot(1, 0), value(batch(1)))), through=5)
        self.assertEqual(accepts(sent), [(node, 10, value(batch(1))) for node in (1, 2, 3)])
        self.assertEqual(sent[-1], (acceptor(3), Accept(FIRST, 10, value(batch(1)), 9)))

    def test_another_ballot_if_it_cannot_catch_up(self) -> None:
        """Who knew may have died: another quorum may know less. The first quorum's Promises are for the first."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1)
        self.promise(2, through=9)
        sent = self.fire("progress", TIMINGS.phase1_idle_seconds)
        self.assertEqual(sent, [(acceptor(1), Prepare(Ballot(2, 1), 1))])
        self.assertEqual(self.promise(3), [])
        self.promise(1, ballot=Ballot(2, 1))
        self.assertNotIn("leading", self.turn.noted())
        self.assertIn((here(ELECTOR), Leading(Ballot(2, 1))), self.promise(3, ballot=Ballot(2, 1)))

    def test_b13_behind_what_is_compacted(self) -> None:
        """Slots that are erased are chosen: to fill them would be another history, and to wait for them has no end."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=3, compacted=2)
        sent = self.promise(2, through=9, compacted=4)
        self.assertEqual(sent, [(here(CATCHUP), CatchUp(4, 9, 2)), (here(ELECTOR), Stopped(FIRST, FIRST, False))])
        self.assertEqual(self.turn.timers, {})
        self.assertEqual(self.give(here(CATCHUP), CaughtUp(9)), [])

    def test_b13_one_of_the_quorum_can_help(self) -> None:
        """A candidate that can be brought up to date slot by slot had better go on."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=3)
        sent = self.promise(2, through=9, compacted=3)
        self.assertEqual(sent, [(here(CATCHUP), CatchUp(4, 9, 2))])
        self.assertIn((here(ELECTOR), Leading(FIRST)), self.give(here(CATCHUP), CaughtUp(9)))

    def test_ends_if_nobody_promises(self) -> None:
        """A campaign that waits for ever would depose a healthy leader, minutes later, when the network is back."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1)
        sent = self.fire("progress", TIMINGS.phase1_idle_seconds)
        self.assertEqual(sent, [(here(ELECTOR), Stopped(FIRST, FIRST, False))])
        self.assertEqual(self.turn.timers, {})

    def test_prepares_again(self) -> None:
        """A lost Prepare is sent again to who has not answered: soon to a peer that comes up, not to a stale poll."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1)
        again = [(acceptor(2), Prepare(FIRST, 1)), (acceptor(3), Prepare(FIRST, 1))]
        self.assertEqual(self.fire("retransmit", TIMINGS.retransmit_seconds), again)
        self.assertEqual(self.give(Address(3, PROPOSER), PeerUp(3, 0xB3, 1)), again[1:])
        self.turn.now += TIMINGS.election_seconds_max
        self.assertEqual(self.give(Address(3, PROPOSER), PeerUp(3, 0xB3, 1)), [])

    def test_prepares_again_for_the_silent_only(self) -> None:
        """A long report that is sent twice is paid for twice."""
        self.proposer = Proposer(1, first_configurations(range(1, 6)), self.limits, TIMINGS)
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=4)
        self.promise(3)
        self.assertEqual(
            self.fire("retransmit", TIMINGS.retransmit_seconds),
            [(acceptor(node), Prepare(FIRST, 5)) for node in (2, 4, 5)],
        )

    def test_timers_of_another_time(self) -> None:
        """A timer that was cancelled as it fired must neither end a lead nor begin anything."""
        for name in ("progress", "retransmit", "announce"):
            self.assertEqual(self.give(here(PROPOSER), TimerFired(name)), [])
        self.lead()
        self.assertEqual(self.give(here(PROPOSER), TimerFired("progress")), [])
        self.assertNotIn("stepped_down", self.turn.noted())

    def test_a_campaign_under_way_goes_on(self) -> None:
        """To begin again with each poll would never end on slow disks."""
        self.give(here(ELECTOR), Campaign())
        self.assertEqual(self.give(here(ELECTOR), Campaign()), [])


class StopTests(OneProposer):
    def assert_stopped(self, sent: list[tuple[Address, Any]], by: Ballot) -> None:
        """It says so, and proposes nothing any more."""
        self.assertIn((here(ELECTOR), Stopped(FIRST, by, True)), sent)
        self.assertEqual(self.turn.timers, {})
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

    def test_gives_way(self) -> None:
        """A leader that finishes slots which an acceptor has erased may never get its vote: another one must lead."""
        self.lead((1, SlotRecord(Ballot(0, 2), NOOP)), (2, SlotRecord(Ballot(0, 2), NOOP)))
        self.assert_stopped(self.give(acceptor(3), GiveWay(FIRST, 2)), FIRST)

    def test_a_late_word_to_give_way(self) -> None:
        """An Accept that was late is for a slot that is counted by now: a healthy leader must not fall over it."""
        self.open()
        self.submit(batch(1))
        self.accepted(2, 1)
        self.accepted(3, 1)
        self.assertEqual(self.give(acceptor(3), GiveWay(FIRST, 1)), [])
        self.assertEqual(self.give(acceptor(3), GiveWay(Ballot(0, 1), 7)), [], "of an earlier ballot")
        self.assertNotIn("stepped_down", self.turn.noted())

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
        self.assertEqual(self.fire("retransmit", TIMINGS.stuck_disk_seconds - 0.1), marks(1))
        self.assert_stopped(self.fire("retransmit", 0.2), FIRST)

    def test_a_disk_that_was_stuck_is_forgiven(self) -> None:
        """What an earlier lead left unanswered must not end the next campaign: the node could never lead again."""
        self.open()
        self.submit(batch(1))
        self.fire("retransmit", TIMINGS.stuck_disk_seconds + 0.1)
        self.give(here(ELECTOR), Campaign())
        self.assertEqual(self.fire("retransmit", TIMINGS.retransmit_seconds), [(acceptor(1), Prepare(Ballot(2, 1), 1))])

    def test_news_of_lower_ballots(self) -> None:
        """What concerns an earlier attempt of its own must not end a healthy lead."""
        self.open()
        self.give(acceptor(3), Nack(Ballot(0, 1), FIRST))
        self.give(acceptor(3), Nack(FIRST, FIRST))
        self.give(acceptor(3), ChosenOtherwise(Ballot(0, 1), 1))
        self.give(here(ACCEPTOR), PromiseRaised(Ballot(1, 0)))
        self.assertNotIn("stepped_down", self.turn.noted())

    def test_who_is_idle_has_nothing_to_stop(self) -> None:
        """An elector that is told of an end which was none would resign, and start elections, without cause."""
        self.assertEqual(self.give(here(ELECTOR), StepDown("no quorum")), [])
        self.assertEqual(self.give(here(ACCEPTOR), PromiseRaised(Ballot(7, 3))), [])
