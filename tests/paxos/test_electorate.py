"""Elections while members change: who may run, whose word counts, and in which set."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, LEARNER, PROPOSER
from dkv.client_events import Replayed
from dkv.configurations import ALPHA, Configuration, Configurations, first_configurations
from dkv.events import Campaign, MembersAre, PeerUp, Progress, StepDown
from dkv.messages import Heartbeat, HeartbeatAck, Poll
from dkv.paxos.elector import Elector
from dkv.paxos.known_members import KnownMembers
from dkv.settings import Limits
from tests.paxos.test_elector import B1, TIMINGS, OneElector, elector, here
from tests.turns import FakeTurn

OLD = Configuration(0, 1, frozenset((1, 2, 3)))
NEW = Configuration(10, 10 + ALPHA, frozenset((1, 4, 5)), frozenset((6,)))
WITHOUT_1 = Configuration(10, 10 + ALPHA, frozenset((2, 3, 4)))
PENDING = MembersAre(Configurations((OLD, NEW), (), 6), 10)
IN_FORCE = MembersAre(Configurations((OLD, NEW), (), 6), 9 + ALPHA)
CAMPAIGN = (here(PROPOSER), Campaign())


class Changing(OneElector):
    """Members 1, 2 and 3 become 1, 4 and 5, with a standby 6."""

    def members_are(self, message: MembersAre) -> list[tuple[Any, Any]]:
        """The learner's word."""
        return self.give(here(LEARNER), message)

    def polled(self) -> set[int]:
        """The nodes that are asked when the timer fires next."""
        return {to.node for to, message in self.fire("election") if isinstance(message, Poll)}


class ChangeTests(Changing):
    def test_r1_a_poll_needs_a_quorum_of_each_set(self) -> None:
        """A candidate that one set alone wants cannot get the slots of the other one chosen: nobody would be served."""
        for granting, enough in (((2, 3), False), ((4, 5), False), ((2, 6), False), ((3, 4), True), ((2, 3, 5), True)):
            self.setUp()
            self.members_are(PENDING)
            number = self.poll()
            sent = [each for node in granting for each in self.answer(node, number)]
            self.assertEqual(CAMPAIGN in sent, enough, granting)

    def test_in_force_the_old_set_is_not_asked(self) -> None:
        """The nodes that left may be switched off: nothing may depend on them."""
        self.members_are(PENDING)
        self.assertEqual(self.polled(), {2, 3, 4, 5, 6})
        self.members_are(IN_FORCE)
        self.assertEqual(self.polled(), {4, 5, 6})
        number = self.poll()
        self.assertEqual([each for node in (2, 3, 6) for each in self.answer(node, number)], [])
        self.assertEqual(self.answer(4, number), [CAMPAIGN])

    def test_only_voters_run(self) -> None:
        """A standby that leads, or a node that was removed, would ask for votes that count for others alone."""
        standby = Configuration(10, 10 + ALPHA, frozenset((2, 3)), frozenset((1,)))
        for newest, applied, runs in (
            (WITHOUT_1, 10, True),
            (WITHOUT_1, 9 + ALPHA, False),
            (standby, 10, True),
            (standby, 9 + ALPHA, False),
            (NEW, 9 + ALPHA, True),
        ):
            self.setUp()
            self.members_are(MembersAre(Configurations((OLD, newest), (), 5), applied))
            asked = self.polled() | self.polled()
            self.assertEqual(bool(asked), runs, (newest, applied))

    def test_a_joiner_is_quiet(self) -> None:
        """The members that it was initialised with are not the present ones, and it is none of them."""
        self.elector = Elector(9, first_configurations((1, 2, 3)), Limits(), TIMINGS)
        self.elector.start(self.turn)
        self.may_campaign()
        self.assertEqual(self.polled() | self.polled(), set())

    def test_members_alone_are_granted(self) -> None:
        """Who was removed must not disturb, however far its log goes; a node that is to come may lead when it votes."""
        self.members_are(PENDING)
        self.assertEqual([self.granted(node) for node in (2, 4, 6, 7)], [True, True, True, False])
        self.members_are(IN_FORCE)
        self.assertEqual([self.granted(node) for node in (2, 3, 4)], [False, False, True])

    def test_not_while_it_replays(self) -> None:
        """The state of a restarted node may be that of an earlier set, which it would ask in vain, or wrongly."""
        self.elector = Elector(1, first_configurations(self.members), Limits(), TIMINGS)
        self.elector.start(self.turn)
        self.give(here(ACCEPTOR), Progress(500, 0))
        self.assertEqual(self.polled() | self.polled(), set())
        self.give(here(LEARNER), Replayed(500))
        self.assertEqual(self.polled(), {2, 3})

    def test_no_sole_voter_any_more(self) -> None:
        """The state of a restarted node may say that it is alone; its log knows better, and it must poll some time."""
        self.turn = FakeTurn()
        self.elector = Elector(1, first_configurations((1,)), Limits(), TIMINGS)
        self.elector.start(self.turn)
        self.members_are(PENDING)
        self.may_campaign()
        self.assertEqual(self.polled(), {2, 3, 4, 5, 6})

    def test_a_sole_voter_waits_for_nobody(self) -> None:
        """A cluster of one node serves as soon as its log is replayed, with standbys too."""
        alone = Configuration(10, 11, frozenset((1,)), frozenset((2,)))
        self.turn = FakeTurn()
        self.elector = Elector(1, Configurations((alone,), (), 2), Limits(), TIMINGS)
        self.elector.start(self.turn)
        self.members_are(MembersAre(Configurations((alone,), (), 2), 100))
        self.may_campaign()
        self.assertEqual(self.turn.timers["election"], self.turn.now)
        self.assertIn(CAMPAIGN, self.fire("election"))


class LeaderTests(Changing):
    """The same change under a leader."""

    def setUp(self) -> None:
        super().setUp()
        for node in (4, 5, 6):
            self.give(elector(node), PeerUp(node, 0xB0 + node, 1))

    def beats_to(self, sent: list[tuple[Any, Any]]) -> set[int]:
        """Who hears a heartbeat."""
        return {to.node for to, message in sent if isinstance(message, Heartbeat)}

    def after_silence(self, answering: int) -> list[tuple[Any, Any]]:
        """One node alone answers; what the leader sends when the others should have done so long ago."""
        self.turn.now += TIMINGS.election_seconds_max * 0.9
        self.give(elector(answering), HeartbeatAck(B1, 1))
        self.turn.now += TIMINGS.election_seconds_max * 0.2
        self.turn.timers["tick"] = self.turn.now
        self.elector._hearing.tick_in(self.turn, 0.0)
        return self.fire("tick")

    def test_supported_by_the_set_in_force(self) -> None:
        """A leader must not give up because voters of the next set are slow, nor live on those that have left."""
        for members, answering, leads in ((PENDING, 2, True), (PENDING, 4, False), (IN_FORCE, 4, True)):
            self.setUp()
            self.members_are(members)
            self.lead()
            self.turn.timers.pop("tick")
            self.elector._standing.answers._at.clear()  # type: ignore[union-attr]  # it leads
            sent = self.after_silence(answering)
            stops = [message for _, message in sent if isinstance(message, StepDown)]
            self.assertEqual(not stops, leads, (members, answering))

    def test_all_members_are_told(self) -> None:
        """A standby follows the leader, too; who was removed hears no more of it."""
        self.members_are(PENDING)
        self.assertEqual(self.beats_to(self.lead()), {2, 3, 4, 5, 6})
        self.members_are(IN_FORCE)
        self.give(elector(4), HeartbeatAck(B1, 1))
        self.assertEqual(self.beats_to(self.fire("tick")), {4, 5, 6})


class KnownMembersTests(SynchronousTestCase):
    def test_where_the_first_set_is_forgotten(self) -> None:
        """A node of an old cluster starts although nobody knows any more who decided slot 1."""
        known = KnownMembers(1, Configurations((NEW, Configuration(200, 264, frozenset((1, 7)))), (), 7))
        self.assertEqual((known.in_force, known.others), (NEW, (4, 5, 6, 7)))
