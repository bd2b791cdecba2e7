"""The proposer while members change: whose promises and votes it counts, and how far it may go (R1 to R3)."""

from __future__ import annotations

from typing import Any

from dkv import configurations
from dkv.actor import ACCEPTOR, CATCHUP, ELECTOR, LEARNER, PROPOSER, Address
from dkv.ballot import Ballot
from dkv.configurations import Configuration, Configurations
from dkv.events import (
    AppliedThrough,
    Campaign,
    CatchUp,
    CaughtUp,
    Leading,
    MembersAre,
    Origins,
    PeerUp,
    ReportApplied,
    Stopped,
)
from dkv.messages import ChosenMark, Nack, Prepare
from dkv.records import NOOP, SlotRecord
from dkv.settings import Limits
from tests.paxos.test_proposer import FIRST, TIMINGS, OneProposer, acceptor, accepts, batch, here, value

ALPHA = 4
OLD = Configuration(0, 1, frozenset((1, 2, 3)))
NEW = Configuration(1, 5, frozenset((1, 4, 5)))
SETS = Configurations((OLD, NEW), (), 5)
BEFORE = Ballot(1, 0)
"""A ballot before that of the leader."""


class Changing(OneProposer):
    """The entry in slot 1 makes of the members 1, 2 and 3 the members 1, 4 and 5, from slot 5 on."""

    limits = Limits(window_slots_max=8)

    def setUp(self) -> None:
        self.patch(configurations, "ALPHA", ALPHA)
        super().setUp()

    def members_are(self, applied: int, sets: Configurations = SETS) -> list[tuple[Address, Any]]:
        """The learner's word."""
        return self.give(here(LEARNER), MembersAre(sets, applied))

    def applied(self, through: int) -> list[tuple[Address, Any]]:
        """The learner's answer."""
        return self.give(here(LEARNER), AppliedThrough(through))

    def choose(self, *slots: int, by: tuple[int, ...] = (1, 2)) -> list[tuple[Address, Any]]:
        """These nodes accept."""
        return [each for slot in slots for node in by for each in self.accepted(node, slot)]

    def change(self, *records: tuple[int, SlotRecord]) -> list[tuple[Address, Any]]:
        """Lead by promises of 1 and 2, and apply the change: what follows."""
        self.lead(*records)
        self.give(here(LEARNER), Origins(FIRST, 0, ()))
        self.submit(batch(1))
        self.choose(1)
        return self.members_are(1)

    def come_to_force(self) -> None:
        """All slots that the old set decides are chosen and applied."""
        self.change()
        self.choose(2, 3, 4)
        self.members_are(4)


def prepares(sent: list[tuple[Address, Any]]) -> list[tuple[int, Prepare]]:
    """(acceptor, Prepare) of the Prepares."""
    return [(to.node, message) for to, message in sent if isinstance(message, Prepare)]


def slots(sent: list[tuple[Address, Any]]) -> list[int]:
    """The slots that are proposed."""
    return sorted({slot for _, slot, _ in accepts(sent)})


class PromiseTests(Changing):
    def test_r1_the_old_majority_chooses_nothing_more(self) -> None:
        """The new set may have another leader: what it does not see would be acknowledged, and lost."""
        self.come_to_force()
        self.promise(4)
        sent = self.submit(batch(2))
        expected = [(node, 5, value(batch(2))) for node in (1, 4, 5)]
        self.assertEqual(accepts(sent), expected, "who has left is sent nothing")
        self.assertEqual([message for _, message in self.choose(5, by=(1, 2, 3)) if message.chosen_through > 4], [])
        self.assertIn((acceptor(1), ChosenMark(FIRST, 5)), self.accepted(4, 5))

    def test_r1_the_new_majority_chooses_nothing_before(self) -> None:
        """The slots of the old set are its own, however many of the new one have accepted them."""
        self.change()
        self.assertEqual([self.accepted(node, 2) for node in (1, 4, 5)], [[], [], []])
        self.assertIn((acceptor(1), ChosenMark(FIRST, 2)), self.accepted(3, 2))

    def test_a_standby_counts_nowhere(self) -> None:
        """It is sent everything, and its vote makes nothing chosen."""
        self.open()
        self.members_are(0, Configurations((OLD, Configuration(0, 1, OLD.voters, frozenset((4,)))), (), 4))
        sent = self.submit(batch(1))
        self.assertEqual([node for node, slot, _ in accepts(sent)], [1, 2, 3, 4])
        self.accepted(1, 1)
        self.assertEqual(self.accepted(4, 1), [])
        self.assertNotEqual(self.accepted(2, 1), [])

    def test_r2_new_voters_promise_the_same_ballot(self) -> None:
        """Without a promise of a majority of the new set, an earlier leader may still choose something there."""
        sent = self.change()
        self.assertEqual(prepares(sent), [(node, Prepare(FIRST, 2)) for node in (3, 4, 5)])
        self.assertEqual(slots(sent), [2, 3, 4])
        self.choose(2, 3, 4)
        self.members_are(4)
        self.assertEqual(slots(self.submit(batch(2))), [], "nobody of the new set but node 1 has promised")
        self.assertEqual(self.promise(3), [], "a promise of the old set")
        self.assertEqual(accepts(self.promise(5)), [(node, 5, value(batch(2))) for node in (1, 4, 5)])

    def test_r2_the_promise_may_come_early(self) -> None:
        """A change that waits for its promises only when they are needed stops the cluster for as long."""
        self.change()
        self.promise(4)
        self.choose(2, 3, 4)
        self.members_are(4)
        self.assertEqual(slots(self.submit(batch(2))), [5])

    def test_r2_asked_again(self) -> None:
        """A lost Prepare would keep the leader before the change for ever, with all nodes alive."""
        self.change()
        again = [(node, Prepare(FIRST, 5)) for node in (3, 4, 5)]
        self.assertEqual(prepares(self.fire("retransmit", TIMINGS.retransmit_seconds)), again)
        self.assertEqual(prepares(self.give(Address(5, PROPOSER), PeerUp(5, 0xB5, 1))), again[2:])
        self.promise(4)
        self.assertEqual(prepares(self.fire("retransmit", TIMINGS.retransmit_seconds)), [], "there is a quorum")

    def test_a_stranger_is_sent_nothing(self) -> None:
        """A node that was removed, or is not known here yet, is connected for a moment: it is no member."""
        self.lead()
        self.assertEqual(self.give(Address(9, PROPOSER), PeerUp(9, 0xB9, 1)), [])

    def test_filled_up_with_no_ops(self) -> None:
        """A change on an idle cluster would take force only when clients have written so much."""
        sent = self.change()
        self.assertEqual({(slot, value) for _, slot, value in accepts(sent)}, {(slot, NOOP) for slot in (2, 3, 4)})
        self.choose(2, 3, 4)
        self.promise(4)
        self.assertEqual(slots(self.members_are(4)), [], "it is in force")

    def test_clients_go_before_no_ops(self) -> None:
        """What waits is proposed, and only the rest is filled up."""
        self.limits = Limits(window_slots_max=2)
        self.setUp()
        self.change()
        self.submit(batch(2))
        self.assertEqual([value for _, _, value in accepts(self.choose(2))], [value(batch(2))] * 5)

    def test_a_new_leader_fills_up_too(self) -> None:
        """The leader that began the change may be gone."""
        self.members_are(1)
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=2)
        sent = self.promise(2, through=2)
        self.assertEqual({(slot, value) for _, slot, value in accepts(sent)}, {(slot, NOOP) for slot in (3, 4)})
        self.assertEqual(
            prepares(self.fire("retransmit", TIMINGS.retransmit_seconds))[1:],
            [(4, Prepare(FIRST, 5)), (5, Prepare(FIRST, 5))],
        )

    def test_all_hear_of_the_last_slot(self) -> None:
        """A node that does not learn of its removal goes on as a member, and new voters must learn it of somebody."""
        self.change()
        for slot in (2, 3, 4):
            self.choose(slot)
        sent = self.members_are(4)
        for node in (3, 4, 5):
            self.assertIn((acceptor(node), ChosenMark(FIRST, 4)), sent)


class AppliedTests(Changing):
    def test_r3_not_beyond_what_is_applied(self) -> None:
        """Who decides slot 5 is known when slot 1 is applied: before, a change there would be missed."""
        self.open()
        for seq in range(1, 7):
            self.submit(batch(seq))
        self.assertEqual(slots(self.choose(1, 2, 3, 4)), [], "all four are chosen, and nothing is applied")
        self.assertEqual(slots(self.applied(1)), [5])
        self.choose(5)
        self.assertEqual(slots(self.submit(batch(7))), [])

    def test_r3_the_window_is_no_longer(self) -> None:
        """A setting of an older version may be larger: the node must start, and keep to the rule."""
        self.limits = Limits(window_slots_max=100)
        self.setUp()
        self.open()
        self.applied(0)
        sent = [each for seq in range(1, 10) for each in self.submit(batch(seq))]
        self.assertEqual(slots(sent), [1, 2, 3, 4])

    def test_asks_how_far_the_learner_is(self) -> None:
        """Once for some slots: a question for each would be a message for each."""
        self.open()
        asked = []
        for seq in range(1, 5):
            asked += [message for to, message in self.submit(batch(seq)) if to == here(LEARNER)]
        self.assertEqual(asked, [ReportApplied(1)])
        self.choose(1, 2, 3, 4)
        asked = [message for to, message in self.applied(3) if to == here(LEARNER)]
        self.assertEqual(asked, [])
        self.submit(batch(5))
        self.assertIn((here(LEARNER), ReportApplied(4)), self.submit(batch(6)))

    def test_phase_1_waits_until_enough_is_applied(self) -> None:
        """A node that was restarted knows the members of a moment ago: those may have been replaced since."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=8)
        sent = self.promise(2, through=8)
        self.assertEqual(sent, [(here(LEARNER), ReportApplied(5))])
        sent = self.members_are(5)
        self.assertEqual(
            prepares(sent), [(node, Prepare(FIRST, 9)) for node in (4, 5)], "1 and 2 are no quorum any more"
        )
        self.assertNotIn("leading", self.turn.noted())
        self.assertIn((here(ELECTOR), Leading(FIRST)), self.promise(5, through=8))

    def test_phase_1_goes_on_with_the_same_members(self) -> None:
        """The usual case: a restart, and no change."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=8)
        self.promise(2, through=8)
        self.assertEqual([each for each in self.applied(4) if each[0] == here(ELECTOR)], [])
        self.assertIn((here(ELECTOR), Leading(FIRST)), self.applied(5))

    def test_phase_1_does_not_wait_for_ever(self) -> None:
        """A node whose state machine hangs keeps others from leading if it tries ballot after ballot."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=8)
        self.promise(2, through=8)
        sent = self.fire("progress", TIMINGS.phase1_idle_seconds)
        self.assertEqual(sent, [(here(ELECTOR), Stopped(FIRST, FIRST, False))])

    def test_phase_1_catches_up_again(self) -> None:
        """A new voter may know more than those who were asked first: what it knows is not proposed anew (R5)."""
        self.members_are(1)
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=4)
        sent = self.promise(2, through=4)
        self.assertEqual(prepares(sent), [])
        self.assertEqual(self.promise(4, through=6), [(here(CATCHUP), CatchUp(5, 6, 4))])
        self.assertNotIn("leading", self.turn.noted())
        self.assertIn((here(ELECTOR), Leading(FIRST)), self.give(here(CATCHUP), CaughtUp(6)) + self.applied(3))

    def test_phase_1_does_not_wait_for_those_who_left(self) -> None:
        """The last slot of the old set is chosen while the promises are on their way: nobody of it need answer."""
        self.members_are(3)
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=3)
        self.assertNotIn((here(ELECTOR), Leading(FIRST)), self.promise(4, through=4), "slot 4 is of 1, 2 and 3")
        self.assertIn((here(ELECTOR), Leading(FIRST)), self.members_are(4))

    def test_members_that_are_new_to_a_candidate(self) -> None:
        """They are asked like the others: they may be needed."""
        self.give(here(ELECTOR), Campaign())
        self.promise(1, through=1)
        self.assertEqual(prepares(self.members_are(1)), [(4, Prepare(FIRST, 2)), (5, Prepare(FIRST, 2))])

    def test_a_leader_that_was_passed(self) -> None:
        """Its own node has applied what it never proposed: it was overtaken, and does not know."""
        self.open()
        self.assertEqual(self.applied(0), [])
        self.assertIn((here(ELECTOR), Stopped(FIRST, FIRST, True)), self.applied(1))

    def test_not_passed_by_what_it_found(self) -> None:
        """What phase 1 found may be applied here before the leader has counted it again."""
        self.lead(*((slot, SlotRecord(BEFORE, NOOP)) for slot in range(1, 7)))
        self.applied(6)
        self.assertNotIn("stepped_down", self.turn.noted())

    def test_a_leader_far_behind_its_learner(self) -> None:
        """The sets of its slots are forgotten: it cannot count, and must not raise."""
        kept = Configurations((Configuration(20, 24, frozenset((1, 2, 3))),), (), 5)
        self.lead(*((slot, SlotRecord(BEFORE, NOOP)) for slot in range(1, 50)))
        self.assertIn((here(ELECTOR), Stopped(FIRST, FIRST, True)), self.members_are(30, kept))

    def test_a_candidate_that_a_snapshot_overtakes(self) -> None:
        """Who decides its next slot is forgotten: the campaign is of no more use, and must not end the process."""
        kept = Configurations((Configuration(20, 24, frozenset((1, 2, 3))),), (), 5)
        for voters in ((), (1,), (1, 2)):  # it reserves its ballot, it asks for promises, it waits for its learner
            self.setUp()
            self.give(here(ELECTOR), Campaign())
            for node in voters:
                self.promise(node, through=8)
            self.assertIn((here(ELECTOR), Stopped(FIRST, FIRST, False)), self.members_are(30, kept))
            self.promise(3, through=8)


class NackTests(Changing):
    def test_a_removed_node_ends_no_lead(self) -> None:
        """It campaigned alone while it was cut off. Each Accept that reaches it would depose a healthy leader."""
        self.come_to_force()
        self.give(acceptor(3), Nack(FIRST, Ballot(99, 3)))
        self.assertNotIn("stepped_down", self.turn.noted())
        self.give(acceptor(5), Nack(FIRST, Ballot(7, 5)))
        self.assertIn("stepped_down", self.turn.noted())
        sent = self.give(here(ELECTOR), Campaign())
        self.assertEqual(
            sent, [(Address(1, ACCEPTOR), Prepare(Ballot(100, 1), 1))], "its ballot is passed all the same"
        )

    def test_voters_of_each_set_do(self) -> None:
        """While the change is pending, both sets are needed."""
        for node in (2, 3, 4, 5):
            self.setUp()
            self.change()
            self.give(acceptor(node), Nack(FIRST, Ballot(99, 3)))
            self.assertIn("stepped_down", self.turn.noted(), f"node {node}")

    def test_a_standby_ends_no_campaign(self) -> None:
        """It has no vote."""
        self.members_are(0, Configurations((Configuration(0, 1, OLD.voters, frozenset((4,))),), (), 4))
        self.give(here(ELECTOR), Campaign())
        self.promise(1)
        self.give(acceptor(4), Nack(FIRST, Ballot(99, 4)))
        self.assertNotIn("phase1_ended", self.turn.noted())
        self.give(acceptor(2), Nack(FIRST, Ballot(99, 4)))
        self.assertIn("phase1_ended", self.turn.noted())

    def test_a_standby_ends_a_lead(self) -> None:
        """It has promised an old candidate more: in the leader's ballot it would take in nothing, for ever."""
        self.members_are(0, Configurations((Configuration(0, 1, OLD.voters, frozenset((4,))),), (), 4))
        self.lead()
        self.give(acceptor(4), Nack(FIRST, Ballot(99, 2)))
        self.assertIn("stepped_down", self.turn.noted())
        self.assertEqual(self.give(here(ELECTOR), Campaign()), [(Address(1, ACCEPTOR), Prepare(Ballot(100, 1), 1))])
