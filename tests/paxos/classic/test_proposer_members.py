"""The proposer of classic mode while members change: each slot has its own set, and no-ops let a change take force."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dkv.actor import LEARNER, Address
from dkv.ballot import ZERO, Ballot
from dkv.configurations import Configuration, Configurations, first_configurations
from dkv.events import Due, MembersAre, ReportOrigins
from dkv.messages import AcceptSlot, NackSlot, PrepareSlot, SlotChosen
from dkv.paxos.classic.proposer import ClassicProposer
from dkv.records import NOOP, SlotRecord
from dkv.settings import Limits, Timings
from tests.paxos.classic.test_proposer import R1, OneProposer, acceptor, batch, value

BEAT = Timings().heartbeat_seconds
FIRST = first_configurations((1, 2, 3))


class MembersTestCase(OneProposer):
    """Proposer 1 of the nodes 1, 2 and 3. The log has another set, which decides the slots from 10 on."""

    def members(self, applied: int, voters: set[int], standbys: Collection[int] = ()) -> None:
        """The learner says who they are, when slot ``applied`` is applied."""
        made = Configuration(2, 10, frozenset(voters), frozenset(standbys))
        known = Configurations((*FIRST.sets, made), (), max(3, *voters, *standbys))
        self.give(Address(1, LEARNER), MembersAre(known, applied))

    def at(self, slot: int) -> Ballot:
        """Slots up to the one before are settled, and batch 1 has its own promise in this one; in which ballot."""
        self.submit(1)
        if slot > 1:
            self.origins(R1)
            self.settled(1, 1, slot - 1)
        ballot = self.asked().ballot
        self.origins(ballot)
        self.turn.take()
        self.promise(1, ballot, slot)
        return ballot

    def asked(self) -> ReportOrigins:
        """What the learner was asked last: the work on a slot begins so."""
        return [sent for _, sent in self.turn.sent if isinstance(sent, ReportOrigins)][-1]

    def nodes(self, message: type) -> list[int]:
        """Who was sent such a message in all turns since the last look."""
        return [to.node for to, sent in self.turn.take() if isinstance(sent, message)]


class SetTests(MembersTestCase):
    def test_r1_each_slot_has_its_own_set(self) -> None:
        """Two proposers that count different sets for one slot choose two values: a write that was chosen is lost."""
        self.members(8, {3, 4, 5})
        ballot = self.at(9)
        self.assertEqual(self.nodes(PrepareSlot), [2, 3, 4, 5], "those of the next set follow the log already")
        for node in (4, 5):
            self.assertEqual(self.promise(node, ballot, 9), [])
        self.assertEqual(len(self.promise(2, ballot, 9)), 5, "a quorum of those who decide slot 9")
        for node in (4, 5, 3):
            self.assertEqual(self.accepted(node, ballot, 9), [])
        self.turn.take()
        self.accepted(1, ballot, 9)
        self.assertEqual(self.nodes(SlotChosen), [1, 2, 3, 4, 5])

    def test_from_the_slot_on_from_which_it_takes_force(self) -> None:
        """The old set decides nothing there, though its nodes may not know that yet."""
        self.members(9, {1, 4, 5})
        ballot = self.at(10)
        self.assertEqual(self.nodes(PrepareSlot), [4, 5])
        for node in (2, 3):
            self.assertEqual(self.promise(node, ballot, 10), [])
        self.promise(4, ballot, 10)
        self.assertEqual(self.nodes(AcceptSlot), [1, 4, 5])

    def test_a_set_that_comes_while_a_slot_is_under_way(self) -> None:
        """The slot keeps the set with which it began, or votes of two sets would be counted together."""
        ballot = self.at(9)
        self.members(9, {1})
        self.assertEqual(self.promise(4, ballot, 9), [])
        self.assertNotEqual(self.promise(2, ballot, 9), [])
        self.accepted(1, ballot, 9)
        self.assertEqual(self.turn.take()[-1][1], AcceptSlot(ballot, 9, value(batch(1))))

    def test_r3_an_answer_about_an_earlier_slot(self) -> None:
        """It has the ballot of this one by chance. The slot's set follows from slots that may not be applied here yet.

        Two nodes that count different sets for one slot choose two values.
        """
        self.submit(1)
        self.assertEqual(self.settled(1, 1, 9), [(Address(1, LEARNER), ReportOrigins(R1, 9))])
        self.assertEqual(self.origins(R1, through=8), [])
        self.members(9, {3, 4, 5}, {1})
        self.assertEqual(self.origins(R1, through=9), [(acceptor(1), PrepareSlot(R1, 10))])
        self.promise(1, R1, 10)
        self.assertEqual(self.promise(2, R1, 10), [])

    def test_votes_of_standbys(self) -> None:
        """They are sent everything and decide nothing."""
        self.members(9, {1, 2, 3}, {4, 5})
        ballot = self.at(10)
        for node in (4, 5):
            self.assertEqual(self.promise(node, ballot, 10), [])
        self.promise(2, ballot, 10)
        self.assertEqual(self.nodes(AcceptSlot), [1, 2, 3, 4, 5])
        for node in (4, 5, 1):
            self.assertEqual(self.accepted(node, ballot, 10), [])

    def test_what_a_standby_reports(self) -> None:
        """The strongest value of all reports is right whoever reports it, as each was proposed by the rules."""
        self.members(9, {1, 2, 3}, {4})
        ballot = self.at(10)
        theirs = value(batch(7, node=2))
        self.promise(4, ballot, 10, SlotRecord(Ballot(1, 3), theirs))
        (accept, *_) = self.promise(2, ballot, 10)
        self.assertEqual(accept[1], AcceptSlot(ballot, 10, theirs))

    def test_the_refusal_of_a_standby(self) -> None:
        """Counted with the voters' it would make this node wait, for a quorum that is there."""
        self.members(9, {1, 2, 3}, {4, 5})
        ballot = self.at(10)
        before = dict(self.turn.timers)
        for node in (4, 5):
            self.nack(node, ballot, 10, Ballot(8, 5), Ballot(8, 5))
        self.assertEqual(self.turn.timers, before)
        self.promise(2, ballot, 10)
        self.assertIn(AcceptSlot(ballot, 10, value(batch(1))), [sent for _, sent in self.turn.take()])

    def test_the_own_acceptor_of_a_standby(self) -> None:
        """Its refusal counts whatever the node is: no ballot is used before it is reserved there (B3)."""
        self.members(9, {2, 3}, {1})
        self.submit(1)
        self.origins(R1)
        self.settled(1, 1, 9)
        ballot = self.asked().ballot
        self.origins(ballot)
        sent = self.give(acceptor(1), NackSlot(ballot, 10, Ballot(7, 1), ZERO))
        self.assertEqual(sent, [(Address(1, LEARNER), ReportOrigins(Ballot(8, 1), 9))])

    def test_a_standby_proposes(self) -> None:
        """Its clients write as others do; its own vote is none."""
        self.members(9, {2, 3, 4}, {1})
        ballot = self.at(10)
        self.promise(2, ballot, 10)
        self.assertEqual(self.nodes(AcceptSlot), [])
        self.promise(3, ballot, 10)
        self.assertEqual(self.turn.take()[0], (acceptor(1), AcceptSlot(ballot, 10, value(batch(1)))))

    def test_forgotten_sets(self) -> None:
        """A snapshot came meanwhile, of a state long after this slot: the set is not known, and the slot is settled."""
        self.submit(1)
        made = Configuration(900, 964, frozenset((1,)))
        self.give(Address(1, LEARNER), MembersAre(Configurations((made,), (), 3), 970))
        self.origins(R1)
        self.promise(1, R1, 1)
        self.assertNotIn(AcceptSlot, [type(sent) for _, sent in self.turn.take()])
        self.assertEqual(self.settled(1, 1, 970), [(Address(1, LEARNER), ReportOrigins(Ballot(2, 1), 970))])


class RemovedTests(MembersTestCase):
    def test_nothing_is_proposed(self) -> None:
        """Learners skip the batches of a node that was removed: it would go on for ever, in the way of others."""
        self.members(9, {2, 3, 4})
        self.submit(1)
        self.assertEqual(self.origins(R1), [])
        self.assertEqual(self.turn.timers, {})
        self.members(9, {1, 2, 3})
        self.submit(2)
        self.assertEqual(self.origins(R1), [], "batch 1 is forgotten")

    def test_before_it_takes_force(self) -> None:
        """Up to there the node's writes take effect as before."""
        self.members(8, {2, 3, 4})
        ballot = self.at(9)
        self.promise(2, ballot, 9)
        self.assertIn(AcceptSlot(ballot, 9, value(batch(1))), [sent for _, sent in self.turn.take()])

    def test_a_slot_that_does_not_have_the_node(self) -> None:
        """A new node's first batch in a slot before it is a member would be skipped, and its client wait for ever."""
        others = Configurations(first_configurations((2, 3)).sets, (), 0)
        self.proposer = ClassicProposer(1, others, Limits(), Timings())
        self.submit(1)
        self.origins(R1)
        self.promise(1, R1, 1)
        self.promise(2, R1, 1)
        self.promise(3, R1, 1)
        self.assertEqual(self.turn.take()[-1][1], AcceptSlot(R1, 1, NOOP))


class FillingTests(MembersTestCase):
    def fill(self) -> list[tuple[Address, Any]]:
        """The timer is due; what is sent in that turn."""
        self.turn.take()
        return self.fire("fill")

    def test_while_a_change_waits(self) -> None:
        """With no writes it would wait for ever: no-ops fill the slots before it, one after the other."""
        self.members(2, {1, 2, 3}, {4})
        self.assertEqual(self.turn.timers["fill"], self.turn.now + BEAT)
        self.fill()
        self.origins(R1)
        self.settled(1, 1, 2)
        self.assertEqual(self.fill(), [(Address(1, LEARNER), ReportOrigins(R1, 2))], "the log has not moved since")
        for slot in range(3, 10):
            ballot = self.asked().ballot
            self.turn.take()
            self.origins(ballot)
            self.promise(1, ballot, slot)
            self.promise(2, ballot, slot)
            accepts = [(to.node, sent) for to, sent in self.turn.take() if isinstance(sent, AcceptSlot)]
            self.assertEqual(accepts, [(node, AcceptSlot(ballot, slot, NOOP)) for node in (1, 2, 3, 4)])
            for node in (1, 2):
                self.accepted(node, ballot, slot)
            if slot == 9:
                self.members(9, {1, 2, 3}, {4})
            sent = self.settled(1, slot, slot)
        self.assertEqual((sent, self.turn.timers), ([], {}), "it is in force")

    def test_the_log_moves(self) -> None:
        """Another node fills, or writes: two of them would only be in each other's way."""
        self.members(2, {1, 2, 3})
        slot = 1
        for through in (2, 4, 7):
            self.fill()
            sent = self.origins(R1)
            self.assertEqual(sent, [(acceptor(1), PrepareSlot(R1, slot))], "its own acceptor says how far the log is")
            self.assertEqual(self.settled(1, slot, through), [])
            self.assertEqual(self.turn.timers.keys(), {"fill"})
            slot = through + 1

    def test_after_a_slot_that_another_node_got(self) -> None:
        """It is at work, so this node waits again."""
        self.members(2, {1, 2, 3})
        self.fill()
        self.origins(R1)
        self.promise(1, R1, 1)
        self.assertEqual(self.settled(1, 1, 1), [])
        self.assertEqual(self.turn.timers.keys(), {"fill"})

    def test_the_next_one_when_the_first_is_gone(self) -> None:
        """One at a time, in the order of their ids."""
        for node, voters, beats in ((1, {1, 4, 5}, 1), (2, {1, 4, 5}, 2), (3, {3, 4}, 3)):
            self.proposer = ClassicProposer(node, FIRST, Limits(), Timings())
            self.members(2, voters)
            self.assertEqual(self.turn.timers["fill"], self.turn.now + beats * BEAT)

    def test_who_does_not(self) -> None:
        """A standby and a node that joins leave it to those who decide the slots."""
        self.proposer = ClassicProposer(4, FIRST, Limits(), Timings())
        self.members(2, {1, 2, 4})
        self.assertEqual(self.turn.timers, {})

    def test_own_writes_fill_too(self) -> None:
        """What is under way is not begun anew."""
        self.members(0, {1, 2})
        self.propose()
        self.assertEqual(self.fill(), [])
        for node in (1, 2):
            self.accepted(node, R1, 1)
        self.assertEqual(self.settled(1, 1, 1), [], "and no no-op follows")

    def test_writes_go_before_no_ops(self) -> None:
        """What came meanwhile takes the slot."""
        self.members(2, {1, 2})
        self.fill()
        self.origins(R1)
        self.promise(1, R1, 1)
        self.submit(1)
        self.promise(2, R1, 1)
        self.assertEqual(self.turn.take()[-1][1], AcceptSlot(R1, 1, value(batch(1))))

    def test_what_is_due_when_others_decide(self) -> None:
        """A key must go at its deadline also if all who were voters when it was set have been replaced."""
        self.proposer = ClassicProposer(4, FIRST, Limits(), Timings())
        self.give(Address(4, LEARNER), Due(3_000, 1, 1_000))
        self.assertEqual(self.turn.timers, {})
        self.members(9, {4, 5, 6})
        self.assertEqual(self.turn.timers, {"due": self.turn.now + 2.0 + BEAT})
        self.turn.now += 1.0
        self.members(10, {4, 5, 6})
        self.assertEqual(self.turn.timers, {"due": self.turn.now + 1.0 + BEAT}, "it does not wait anew")
        self.proposer = ClassicProposer(1, FIRST, Limits(), Timings())
        self.give(Address(1, LEARNER), Due(3_000, 1, 1_000))
        self.members(9, {4, 5, 6})
        self.assertEqual(self.turn.timers, {})
