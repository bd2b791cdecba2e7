"""The proposer that leads while members change: what late promises report, and who confirms reads (R4 to R6)."""

from __future__ import annotations

from typing import Any

from dkv.actor import ELECTOR, GATEWAY, LEARNER, Address
from dkv.events import Campaign, Origins, ReportOrigins, Stopped
from dkv.messages import Barrier, BarrierRequest, Confirm, Confirmed, Want
from dkv.records import NOOP, SlotRecord
from dkv.settings import Limits
from tests.paxos.test_proposer import FIRST, TIMINGS, acceptor, accepts, batch, here, value
from tests.paxos.test_proposer_members import BEFORE, Changing, slots


class LateReportTests(Changing):
    def test_r4_what_a_late_promise_reports(self) -> None:
        """An earlier leader has chosen it with the new set, whose nodes were not asked before: it is acknowledged."""
        self.change()
        record = SlotRecord(BEFORE, value(batch(7, node=5)))
        sent = self.promise(4, (6, record)) + self.choose(2, 3, 4) + self.applied(4)
        self.assertEqual({value for _, slot, value in accepts(sent) if slot == 5}, {NOOP}, "nobody reported slot 5")
        self.assertEqual({value for _, slot, value in accepts(sent) if slot == 6}, {record.value})

    def test_r4_not_for_what_is_proposed(self) -> None:
        """A slot has one value in a ballot (I3): the old set decides it, and a quorum of that has promised."""
        self.change()
        sent = self.promise(4, (3, SlotRecord(BEFORE, value(batch(7, node=5)))))
        self.assertEqual(slots(sent), [])
        self.assertEqual(accepts(self.fire("retransmit", TIMINGS.retransmit_seconds))[0][2], NOOP)

    def test_r4_kept_while_the_old_set_decides(self) -> None:
        """A new voter knows a slot to be chosen that a quorum has promised: the lead gives it the same value."""
        self.limits = Limits(window_slots_max=2)
        self.setUp()
        self.change()
        self.promise(5, through=4)
        self.assertNotIn("stepped_down", self.turn.noted())
        self.choose(2, 3, 4)
        self.members_are(4)
        self.assertEqual(slots(self.submit(batch(2))), [5], "the promise counts, once the lead has come as far")

    def test_r4_no_read_before_it_is_chosen(self) -> None:
        """What an earlier leader has acknowledged must be seen."""
        self.change()
        self.choose(2, 3, 4)
        self.promise(4, (6, SlotRecord(BEFORE, value(batch(7, node=5)))))
        self.assertEqual(self.give(Address(3, GATEWAY), BarrierRequest(1, 1)), [])

    def test_r4_reads_go_on(self) -> None:
        """A late report of what this leader has proposed itself says nothing new: no read need wait for that."""
        self.change()
        self.promise(4, (3, SlotRecord(FIRST, NOOP)))
        self.assertNotEqual(self.give(Address(3, GATEWAY), BarrierRequest(1, 1)), [])

    def test_r4_the_next_batch_of_its_origin(self) -> None:
        """Its origin counts it as done, and sends the one after it: a leader that waits for it waits for ever."""
        self.change()
        self.choose(2, 3, 4)
        self.promise(4, (5, SlotRecord(BEFORE, value(batch(2)))))
        self.choose(5, by=(1, 4))
        self.assertEqual(slots(self.applied(5)), [])
        self.assertEqual({value for _, slot, value in accepts(self.submit(batch(3)))}, {value(batch(3))})

    def test_r4_before_the_origins_are_known(self) -> None:
        """Marks that leave out what was found late would have it proposed twice, or its successor refused."""
        self.members_are(1)
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=2)
        self.promise(2, through=2)
        self.promise(4, (5, SlotRecord(BEFORE, value(batch(2)))))
        self.assertEqual(
            self.give(here(LEARNER), Origins(FIRST, 0, ((2, 0xB2, 1, 1),))), [(here(LEARNER), ReportOrigins(FIRST, 5))]
        )
        self.assertEqual(self.submit(batch(4)), [])
        self.assertIn(
            (Address(2, GATEWAY), Want(1, 3)), self.give(here(LEARNER), Origins(FIRST, 0, ((2, 0xB2, 1, 2),)))
        )

    def test_r5_a_promise_that_knows_more_waits(self) -> None:
        """It reports nothing of slots that it knows to be chosen: they would be given another value."""
        self.change()
        self.promise(4, (5, SlotRecord(BEFORE, value(batch(2)))), through=3)
        self.choose(2)
        self.assertEqual(slots(self.applied(1)), [])
        sent = self.choose(3)
        self.assertEqual({value for _, slot, value in accepts(sent)}, {value(batch(2))}, "the count has come to slot 3")

    def test_r5_a_promise_that_knows_too_much(self) -> None:
        """The leader gets there only with this promise: another ballot must fetch what is chosen first."""
        self.change()
        self.choose(2, 3, 4)
        sent = self.promise(4, through=5)
        self.assertIn((here(ELECTOR), Stopped(FIRST, FIRST, True)), sent)

    def test_r5_another_may_do(self) -> None:
        """As long as the leader can get on, it does."""
        self.change()
        self.promise(4, through=3)
        self.assertNotIn("stepped_down", self.turn.noted())
        self.promise(5)
        self.choose(2, 3, 4)
        self.assertEqual(slots(self.submit(batch(2))), [5])

    def test_late_promises_without_need(self) -> None:
        """Where a quorum has promised, nothing else can be chosen: what one node accepted once disturbs nobody."""
        self.open()
        self.assertEqual(self.promise(3, (2, SlotRecord(BEFORE, value(batch(7))))), [])
        self.assertEqual(slots(self.submit(batch(1))), [1])


class RoundTests(Changing):
    def ask(self, number: int) -> list[tuple[Address, Any]]:
        """A gateway asks for a barrier."""
        return self.give(Address(3, GATEWAY), BarrierRequest(1, number))

    def confirm(self, node: int, round_: int) -> list[tuple[Address, Any]]:
        """An acceptor confirms."""
        return self.give(acceptor(node), Confirmed(FIRST, round_))

    def barriers(self, sent: list[tuple[Address, Any]]) -> list[Barrier]:
        """Those that are given."""
        return [message for _, message in sent if isinstance(message, Barrier)]

    def test_r6_the_old_set_confirms_nothing_more(self) -> None:
        """A removed leader, cut off with its old majority, would serve reads that miss what the new set has chosen."""
        self.come_to_force()
        self.promise(4)
        self.assertEqual({to.node for to, _ in self.ask(1)}, {1, 4, 5})
        self.assertEqual(self.barriers([each for node in (1, 2, 3) for each in self.confirm(node, 1)]), [])
        self.assertEqual(self.barriers(self.confirm(5, 1)), [Barrier(1, 1, 4)])

    def test_r6_the_old_set_confirms_until_then(self) -> None:
        """The new set alone does not see a leader that the old one has elected."""
        self.change()
        self.ask(1)
        self.assertEqual(self.barriers([each for node in (1, 4, 5) for each in self.confirm(node, 1)]), [])
        self.assertEqual(self.barriers(self.confirm(3, 1)), [Barrier(1, 1, 1)])

    def test_r6_not_before_the_new_set_has_promised(self) -> None:
        """It confirms that no later leader has come. An earlier one's writes only a Promise reports."""
        self.change()
        self.choose(2, 3, 4)
        self.assertEqual(self.ask(1), [])
        self.assertEqual({message for _, message in self.promise(4)}, {Confirm(FIRST, 1)})

    def test_r6_not_before_the_set_is_known(self) -> None:
        """Who decides slot 5 is known when slot 1 is applied."""
        self.open()
        for seq in (1, 2, 3, 4):
            self.submit(batch(seq))
        self.choose(1, 2, 3, 4)
        self.assertEqual(self.ask(1), [])
        self.assertIn((acceptor(2), Confirm(FIRST, 1)), self.applied(1))

    def test_a_round_of_those_who_have_left(self) -> None:
        """They may be switched off: a round that waits for them would keep every read waiting."""
        self.change()
        self.promise(4)
        self.ask(1)
        self.confirm(1, 1)
        sent = self.choose(2, 3, 4) + self.members_are(4)
        self.assertEqual([to.node for to, message in sent if message == Confirm(FIRST, 2)], [1, 4, 5])
        self.assertEqual(self.barriers(self.confirm(2, 1)), [])
        self.assertEqual(self.barriers(self.confirm(1, 2) + self.confirm(4, 2)), [Barrier(1, 1, 4)])
