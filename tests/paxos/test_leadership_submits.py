"""The proposer that leads: batches of gateways into slots, votes counted, and the mark that it announces."""

from __future__ import annotations

from dkv.actor import CATCHUP, GATEWAY, LEARNER, PROPOSER, Address
from dkv.ballot import Ballot
from dkv.configurations import first_configurations
from dkv.events import CaughtUp, Flush, Origins, PeerUp, TimerFired
from dkv.messages import Accept, Accepted, ChosenMark, Submit, Want
from dkv.paxos import pace
from dkv.paxos.leadership import EARLY_SUBMITS_MAX, MARK_SECONDS
from dkv.paxos.proposer import Proposer
from dkv.records import Batch, SlotRecord, Value
from dkv.settings import Limits
from tests.paxos.test_proposer import FIRST, TIMINGS, OneProposer, acceptor, accepts, batch, here, marks, value
from tests.turns import inject


class Phase2Tests(OneProposer):
    def test_batches_of_one_moment_share_a_slot(self) -> None:
        """One slot for many batches, one commit for many writes."""
        self.open()
        self.turn.take()
        for each, expected in ((batch(1), [(here(PROPOSER), Flush())]), (batch(2), [])):
            self.assertEqual(inject(self.proposer, self.turn, Address(2, GATEWAY), Submit((each,))), expected)
        sent = inject(self.proposer, self.turn, here(PROPOSER), Flush())
        self.assertEqual(accepts(sent), [(node, 1, value(batch(1), batch(2))) for node in (1, 2, 3)])

    def test_b28_out_of_order_is_refused(self) -> None:
        """A later batch must not be proposed before an earlier one; the origin is told which one is wanted."""
        self.open()
        self.assertEqual(self.submit(batch(2), batch(3)), [(Address(2, GATEWAY), Want(1, 1))])

    def test_b16_foreign_batches_are_refused(self) -> None:
        """A node that submits in another's name would have its writes acknowledged there."""
        self.open()
        self.assertEqual(self.give(Address(3, GATEWAY), Submit((batch(1, node=2),))), [])
        self.assertIn("foreign_batch_refused", self.turn.noted())

    def test_b33_a_strangers_batch_is_recovered(self) -> None:
        """A slot that holds one may be chosen: leaders that end on it end one after the other."""
        record = SlotRecord(Ballot(1, 0), value(batch(7, node=9), batch(8, node=2)))
        sent = self.lead((1, record))
        self.assertEqual(accepts(sent), [(node, 1, record.value) for node in (1, 2, 3)])
        self.accepted(1, 1)
        self.assertEqual(self.accepted(2, 1), [(acceptor(node), ChosenMark(FIRST, 1)) for node in (1, 2)])

    def test_submits_before_the_origins_are_known_wait(self) -> None:
        """A new leader that takes a batch which is in the log already proposes it twice."""
        self.lead()
        self.assertEqual(self.submit(batch(8)), [])
        sent = self.give(here(LEARNER), Origins(FIRST, 0, ((2, 0xB2, 1, 7),)))
        self.assertEqual({value for _, _, value in accepts(sent)}, {value(batch(8))})

    def test_what_waits_for_the_origins_is_bounded(self) -> None:
        """Clients of a slow new leader must not fill its memory; what is dropped is sent again by its gateway."""
        self.lead()
        for seq in range(1, EARLY_SUBMITS_MAX + 5):
            self.submit(batch(seq))
        (_, _, value), *_ = accepts(self.give(here(LEARNER), Origins(FIRST, 0, ())))
        self.assertEqual([each.seq for each in value.batches], list(range(1, EARLY_SUBMITS_MAX + 1)))

    def test_origins_of_an_earlier_lead(self) -> None:
        """Marks that are older than the log would have a batch proposed which is in it already."""
        self.lead()
        for other in (Ballot(0, 1), Ballot(9, 1)):
            self.give(here(LEARNER), Origins(other, 0, ()))
        self.assertEqual(self.submit(batch(1)), [])
        self.give(here(LEARNER), Origins(FIRST, 0, ()))
        self.give(here(LEARNER), Origins(FIRST, 0, ()))
        self.assertEqual(self.submit(batch(1)), [])

    def test_what_was_recovered_goes_first(self) -> None:
        """A new batch in a slot where an older value may be chosen overwrites what was acknowledged."""
        record = SlotRecord(Ballot(1, 0), value(batch(7, node=3)))
        self.lead((1, record), (2, record), (3, record))
        self.give(here(LEARNER), Origins(FIRST, 0, ()))
        self.assertEqual(self.submit(batch(1)), [])
        self.accepted(1, 1)
        sent = self.accepted(2, 1)
        self.assertEqual(sent, [(acceptor(node), Accept(FIRST, 3, record.value, 1)) for node in (1, 2, 3)])

    def test_a_follower_drops(self) -> None:
        """Passing on what came to the wrong node could go in circles."""
        self.assertEqual(self.submit(batch(1)), [])

    def test_b2_b23_b25_announces_what_it_counted(self) -> None:
        """Only a quorum of Accepteds in its own ballot, its own by message like the rest, makes a slot chosen."""
        self.open()
        self.submit(batch(1))
        for ballot in (Ballot(0, 1), Ballot(2, 1)):
            self.assertEqual(self.accepted(3, 1, ballot), [])
        self.assertEqual(self.accepted(2, 1), [])
        self.assertEqual(self.give(here(CATCHUP), CaughtUp(9)), [])
        sent = self.accepted(1, 1)
        self.assertEqual(sent, [(acceptor(node), ChosenMark(FIRST, 1)) for node in (1, 2)])

    def test_the_mark_for_those_who_wait_for_nothing(self) -> None:
        """Who sent the batch, and the leader's own clients, hear at once; a message less for each of the others."""
        self.open()
        self.submit(batch(1))
        self.accepted(2, 1)
        self.assertNotIn((acceptor(3), ChosenMark(FIRST, 1)), self.accepted(1, 1))
        self.assertEqual(self.due()["announce"], MARK_SECONDS)
        self.assertEqual(self.fire("announce", MARK_SECONDS), [(acceptor(3), ChosenMark(FIRST, 1))])
        self.assertNotIn("announce", self.turn.timers, "nobody is to be told anything")

    def test_the_next_marks_are_told_too(self) -> None:
        """A node that waits for nothing would otherwise fall behind for good, after the first mark it was told."""
        self.open()
        for slot in (1, 2):
            self.submit(batch(slot))
            self.accepted(2, slot)
            self.accepted(1, slot)
            sent = self.fire("announce", MARK_SECONDS)
            self.assertEqual(sent, [(acceptor(3), ChosenMark(FIRST, slot))])

    def test_nobody_is_told_twice(self) -> None:
        """An Accept has said it, so the timer finds nothing to say."""
        self.open()
        self.submit(batch(1))
        self.accepted(2, 1)
        self.accepted(1, 1)
        self.submit(batch(2))
        self.assertEqual(self.fire("announce", MARK_SECONDS), [])

    def test_b25_what_was_recovered_is_not_counted(self) -> None:
        """A mark that covers what is only proposed again has followers mark older values of their own chosen."""
        self.lead((1, SlotRecord(Ballot(1, 0), value(batch(1)), chosen=True)))
        self.give(here(LEARNER), Origins(FIRST, 0, ((2, 0xB2, 1, 1),)))
        self.give(here(CATCHUP), CaughtUp(1))
        for _ in range(2):
            sent = self.fire("retransmit", TIMINGS.retransmit_seconds / 3)
            self.assertEqual(sent, marks(0))

    def test_the_mark_rides_on_accepts(self) -> None:
        """When there is something to propose, the mark costs no message."""
        self.open()
        self.submit(batch(1))
        self.submit(batch(2))
        self.assertEqual(self.submit(batch(3)), [], "the window is full")
        self.accepted(1, 1)
        sent = self.accepted(3, 1)
        self.assertEqual(sent, [(acceptor(node), Accept(FIRST, 3, value(batch(3)), 1)) for node in (1, 2, 3)])

    def test_sends_again(self) -> None:
        """A lost Accept would keep the slot, and all behind it, open for ever."""
        self.open()
        self.submit(batch(1))
        self.accepted(3, 1)
        self.assertEqual(accepts(self.fire("retransmit", TIMINGS.retransmit_seconds + 0.01)), [(2, 1, value(batch(1)))])
        self.assertEqual(
            accepts(self.fire("retransmit", TIMINGS.retransmit_seconds + 0.01)), [], "the next one takes longer"
        )
        self.assertEqual(accepts(self.give(Address(2, PROPOSER), PeerUp(2, 0xB2, 2))), [(2, 1, value(batch(1)))])
        self.assertEqual(accepts(self.give(Address(3, PROPOSER), PeerUp(3, 0xB3, 2))), [])

    def test_b25_what_is_sent_again_carries_the_count(self) -> None:
        """An Accept that announced its own slot would make it chosen with one vote."""
        self.open()
        self.submit(batch(1))
        self.submit(batch(2))
        self.accepted(1, 1)
        self.accepted(2, 1)
        again = Accept(FIRST, 2, value(batch(2)), 1)
        sent = self.fire("retransmit", TIMINGS.retransmit_seconds + 0.01)
        self.assertEqual(sent, [*((acceptor(node), again) for node in (2, 3)), *marks(1)])

    def test_large_values_go_one_by_one(self) -> None:
        """What the disks owe is bounded: a commit of many seconds looks like a disk that is stuck."""
        self.proposer = Proposer(1, first_configurations((1, 2, 3)), Limits(), TIMINGS)
        self.open()
        large = [Batch(2, 0xB2, 1, seq, b"x" * (5 << 20)) for seq in (1, 2, 3)]
        sent = self.submit(*large)
        self.assertEqual([slot for node, slot, _ in accepts(sent) if node == 2], [1, 2])
        self.accepted(1, 1)
        self.assertEqual([slot for node, slot, _ in accepts(self.accepted(2, 1)) if node == 2], [3])

    def test_b20_a_node_that_catches_up_is_waited_for(self) -> None:
        """Slots that come faster than it takes them keep it behind for ever: the leader holds them back a moment."""
        self.patch(pace, "LAG_SLOTS_MIN", 1)
        self.open()
        for seq in (1, 2, 3):
            self.submit(batch(seq))
            self.accepted(1, seq)
            self.accepted(2, seq)
        for through in (0, 1):
            self.turn.now += 0.001
            self.give(acceptor(3), Accepted(FIRST, 3, chosen_through=through))
        self.assertEqual(accepts(self.submit(batch(4))), [])
        self.assertEqual(self.turn.notes[-1], ("held_back", {"nodes": [3], "chosen_through": 3}))
        self.assertGreater(self.turn.timers["pace"], self.turn.now)
        self.turn.now = self.turn.timers.pop("pace")
        self.assertEqual(
            accepts(self.give(here(PROPOSER), TimerFired("pace"))),
            [(node, 4, Value((batch(4),), time=20)) for node in (1, 2, 3)],
        )
        self.assertEqual(accepts(self.submit(batch(5))), [])
        sent = self.give(acceptor(3), Accepted(FIRST, 4, chosen_through=4))  # it has arrived
        sent += self.give(here(PROPOSER), TimerFired("pace"))
        self.assertEqual(accepts(sent), [(node, 5, Value((batch(5),), time=20)) for node in (1, 2, 3)])
        self.give(here(PROPOSER), TimerFired("retransmit"))
        self.assertEqual(self.turn.notes[-1], ("held_back", {"nodes": [], "chosen_through": 3}))
