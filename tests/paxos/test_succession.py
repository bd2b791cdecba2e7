"""A leader hands over: to whom, how, and what becomes of a TakeOver that is late, doubled, or for nobody."""

from __future__ import annotations

from typing import Any

from dkv.actor import ACCEPTOR, HOST, LEARNER, PROPOSER, Address
from dkv.ballot import Ballot
from dkv.configurations import ALPHA, Configuration, Configurations, first_configurations
from dkv.events import Campaign, HandOver, Leading, MembersAre, PeerDown, Progress, StepDown, Stopped
from dkv.messages import HeartbeatAck, Poll, Resigned, TakeOver
from dkv.paxos.elector import Elector
from dkv.settings import Limits
from tests.paxos.test_elector import B1, B2, B3, TIMINGS, OneElector, elector, here

CAMPAIGN = (here(PROPOSER), Campaign())
STEP_DOWN = (here(PROPOSER), StepDown("this node is no voter any more"))


class Handing(OneElector):
    """Elector 1 leads; a voter that is more than 100 slots behind is too far behind."""

    members = (1, 2, 3, 4)

    def setUp(self) -> None:
        super().setUp()
        self.lead()

    def counts(self, **counts: int) -> None:
        """Followers answer, each with the slots that it holds."""
        for name, through in counts.items():
            self.give(elector(int(name[1:])), HeartbeatAck(B1, 1, through))

    def hand_over(self, to: int | None = None) -> list[tuple[Address, Any]]:
        """The node is about to stop, or an operator wants it."""
        return self.give(here(HOST), HandOver(to))

    def reason(self) -> str:
        """Why it could not be handed over, the last time."""
        event, fields = self.turn.notes[-1]
        self.assertEqual(event, "not_handed_over")
        return str(fields["reason"])

    def members_are(self, newest: Configuration, applied: int) -> list[tuple[Address, Any]]:
        """The learner's word of a second set."""
        old = first_configurations(self.members).newest
        return self.give(here(LEARNER), MembersAre(Configurations((old, newest), (), 9), applied))


class HandOverTests(Handing):
    def test_to_the_one_with_the_most_slots(self) -> None:
        """It has the least to catch up with, and so writes pause the least."""
        self.counts(n2=499, n3=500, n4=500)
        self.assertEqual(self.hand_over(), [(elector(3), TakeOver(B1))])
        self.counts(n4=501)
        self.assertEqual(self.hand_over(), [(elector(4), TakeOver(B1))])
        self.assertEqual(self.hand_over(2), [(elector(2), TakeOver(B1))], "an operator may choose another one")

    def test_leads_on(self) -> None:
        """A TakeOver may be lost: until another node leads, this one serves."""
        self.counts(n2=500, n3=500)
        self.hand_over()
        for _ in range(5):
            self.counts(n2=500, n3=500)
            self.assertEqual([to for to, message in self.fire("tick") if isinstance(message, StepDown)], [])

    def test_not_to_one_that_cannot(self) -> None:
        """A node that is silent, far behind or no voter could not lead: the operator is told, and nothing is sent."""
        self.assertEqual(self.hand_over(2), [])
        self.assertEqual(self.reason(), "node 2 does not answer", "it has not answered this lead yet")
        self.counts(n2=399, n3=400)
        for to, reason in (
            (2, "node 2 is about 101 slots behind"),
            (4, "node 4 does not answer"),
            (1, "node 1 is no other voter"),
            (7, "node 7 is no other voter"),
        ):
            self.assertEqual(self.hand_over(to), [])
            self.assertEqual(self.reason(), reason)
        self.assertEqual(self.hand_over(), [(elector(3), TakeOver(B1))])
        self.give(elector(3), PeerDown(3))
        self.assertEqual(self.hand_over(), [])
        self.assertEqual(self.reason(), "no other voter can take over")

    def test_not_to_one_that_was_silent_for_long(self) -> None:
        """Its process may stand still, with its connections open."""
        self.counts(n2=500)
        self.turn.now += TIMINGS.election_seconds_max
        self.assertEqual(self.hand_over(2), [])

    def test_a_follower_hands_nothing_over(self) -> None:
        """Only the leader can be replaced without a poll."""
        self.follow(B2)
        self.assertEqual(self.hand_over(3), [])
        self.assertEqual(self.hand_over(), [])

    def test_what_the_console_knows(self) -> None:
        """An operator is told at once why a node cannot lead; the same rule judges it."""
        self.counts(n2=500, n3=399)
        self.fire("tick")
        (measured,) = [fields for event, fields in self.turn.measures[-3:] if event == "successors"][-1:]
        expected = {2: "", 3: "node 3 is about 101 slots behind", 4: "node 4 does not answer"}
        self.assertEqual(measured["obstacles"], expected)


class TakeOverTests(OneElector):
    """Elector 1 follows the leader of ballot 2.2."""

    def setUp(self) -> None:
        super().setUp()
        self.follow(B2)

    def take_over(self, ballot: Ballot = B2, sender: int = 2) -> list[tuple[Address, Any]]:
        """A leader, or one that was, asks for it."""
        return self.give(elector(sender), TakeOver(ballot))

    def test_at_once_and_without_a_poll(self) -> None:
        """A poll would be refused by all that hear the leader; and it takes a round trip."""
        self.assertEqual(self.take_over(), [CAMPAIGN])

    def test_also_when_it_has_resigned_meanwhile(self) -> None:
        """A leader that is no voter any more steps down soon after; its word comes late and is still good."""
        self.give(elector(2), Resigned(B2))
        self.assertEqual(self.take_over(), [CAMPAIGN])

    def test_the_leader_goes_on_beating(self) -> None:
        """It leads until it is overtaken: its heartbeats must not end the campaign that it asked for."""
        self.take_over()
        sent = self.follow(B2)
        self.assertEqual([message for _, message in sent if isinstance(message, StepDown)], [])
        self.assertEqual(self.take_over(), [])

    def test_once(self) -> None:
        """A second one while phase 1 runs would begin another ballot, which ends the first one."""
        self.take_over()
        self.assertEqual(self.take_over(), [])

    def test_again_when_phase_1_has_failed(self) -> None:
        """The leader still wants to go."""
        self.take_over()
        self.give(here(PROPOSER), Stopped(Ballot(3, 1), Ballot(3, 1), led=False))
        self.assertEqual(self.take_over(), [CAMPAIGN])

    def test_of_an_old_ballot(self) -> None:
        """A TakeOver that was long under way must not depose the leader of now, nor this node if it leads itself."""
        self.follow(B3)
        self.assertEqual(self.take_over(B2), [])
        self.give(here(PROPOSER), Leading(Ballot(4, 1)))
        self.assertEqual(self.take_over(B3, 3), [])
        self.assertEqual(self.take_over(B2, 2), [])

    def test_of_an_unknown_ballot(self) -> None:
        """This node does not know that anybody leads in it, so nobody has asked to be replaced."""
        self.assertEqual(self.take_over(B3, 3), [])

    def test_of_somebody_else(self) -> None:
        """A node that does not lead cannot make others elect."""
        self.assertEqual(self.take_over(B2, 3), [])

    def test_not_while_it_may_not_campaign(self) -> None:
        """A standby, a node that replays, and one that does not vote stay quiet whoever asks."""
        standby = Configuration(10, 11, frozenset((2, 3)), frozenset((1,)))
        self.give(here(LEARNER), MembersAre(Configurations((standby,), (), 3), 100))
        self.assertEqual(self.take_over(), [])
        self.elector = Elector(1, first_configurations(self.members), Limits(), TIMINGS)
        self.elector.start(self.turn)
        self.give(here(ACCEPTOR), Progress(500, 0))
        self.follow(B2)
        self.assertEqual(self.take_over(), [])


class RemovedLeaderTests(Handing):
    """Elector 1 leads 1, 2, 3 and 4; then 3, 4 and 5 are the voters."""

    NEW = Configuration(10, 10 + ALPHA, frozenset((3, 4, 5)), frozenset((6,)))

    def test_hands_over_and_steps_down(self) -> None:
        """It finds out by itself, as soon as its removal is in force, and gives the best of the new voters a moment."""
        self.counts(n2=900, n3=600, n4=700)
        self.assertEqual(self.members_are(self.NEW, 10), [], "the next slots are its own set's")
        self.assertNotIn(STEP_DOWN, self.fire("tick"))
        self.assertEqual(self.members_are(self.NEW, 9 + ALPHA), [(elector(4), TakeOver(B1))])
        sent = self.fire("tick")
        self.assertIn(STEP_DOWN, sent)
        sent = self.give(here(PROPOSER), Stopped(B1, B1, led=True))
        told = [to.node for to, message in sent if message == Resigned(B1)]
        self.assertEqual(told, [3, 4, 5, 6])
        for _ in range(3):
            self.assertEqual([message for _, message in self.fire("election") if isinstance(message, Poll)], [])

    def test_nobody_can_take_over(self) -> None:
        """It resigns all the same: the new voters find a leader by themselves."""
        self.assertEqual(self.members_are(self.NEW, 9 + ALPHA), [])
        self.counts(n3=0, n4=0)
        self.assertIn(STEP_DOWN, self.fire("tick"))

    def test_elected_after_its_removal(self) -> None:
        """Its phase 1 ended after the change took force: it knows no follower yet, so it waits for their answers."""
        self.give(here(PROPOSER), Stopped(B1, B1, led=True))
        self.members_are(self.NEW, 9 + ALPHA)
        self.lead(Ballot(4, 1))
        for node in (3, 4):
            self.give(elector(node), HeartbeatAck(Ballot(4, 1), 2, 500))
        sent = self.fire("tick")
        self.assertIn((elector(3), TakeOver(Ballot(4, 1))), sent)
        self.assertNotIn(STEP_DOWN, sent)
        self.assertIn(STEP_DOWN, self.fire("tick"))

    def test_one_that_stays_goes_first(self) -> None:
        """A leader that is to leave soon would hand over once more."""
        self.counts(n2=900, n3=600)
        self.members_are(self.NEW, 10)
        self.assertEqual(self.hand_over(), [(elector(3), TakeOver(B1))])
