"""The elector of a leader: heartbeats, and when to give the lead away."""

from __future__ import annotations

from typing import Any

from dkv.actor import ELECTOR, GATEWAY, PROPOSER, Address
from dkv.ballot import Ballot
from dkv.client_events import LeaderIs, QuorumHeard
from dkv.events import (
    Campaign,
    ClocksAre,
    PeerDown,
    PeerHeard,
    PeerUp,
    StepDown,
    Stopped,
    TimerFired,
)
from dkv.messages import BarrierRequest, Heartbeat, HeartbeatAck, Poll, Resigned
from tests.paxos.test_elector import B1, B2, B3, TIMINGS, OneElector, elector, here, told_of


def beats(number: int, now: float) -> list[tuple[Address, Any]]:
    """What a leader of ``B1`` sends at a tick, before anybody has answered."""
    clocks = ClocksAre(((1, 1_795_000_000_000 - now * 1000),))
    sent: list[tuple[Address, Any]] = [(elector(node), Heartbeat(B1, number, 0, 0, 0)) for node in (2, 3)]
    return [(here(PROPOSER), clocks), *sent, (here(PROPOSER), BarrierRequest(0, number))]


class LeadTests(OneElector):
    def test_heartbeats(self) -> None:
        """Who leads says so at once, and at every tick; a peer that comes up hears it too."""
        sent = self.lead()
        self.assertEqual(sent, [*told_of(B1), *beats(1, self.turn.now)])
        sent = self.fire("tick")
        self.assertEqual(sent, beats(2, self.turn.now))
        self.assertEqual(self.give(elector(3), PeerUp(3, 0xB3, 2)), [(elector(3), Heartbeat(B1, 2, 0, 0, 0))])

    def test_clocks(self) -> None:
        """The proposer hears what the clocks show of those that have answered at once, and only then."""
        self.lead()
        self.turn.now += 0.01
        self.give(elector(2), HeartbeatAck(B1, 1, 0, 200_000))
        self.give(elector(3), HeartbeatAck(B1, 0, 0, 7))
        own = self.turn.wall_ms - 120_000.0
        self.turn.now = 120.0
        self.give(elector(3), HeartbeatAck(B1, 1, 0, 300_000))
        clocks = [message for _, message in self.give(here(ELECTOR), TimerFired("tick")) if type(message) is ClocksAre]
        self.assertEqual(clocks, [ClocksAre(((1, own), (2, 200_000 - 100_010.0)))])

    def test_steps_down_without_a_quorum(self) -> None:
        """A leader cut off from the others would keep its clients waiting for nothing."""
        self.lead()
        for _ in range(30):
            self.give(elector(2), HeartbeatAck(B1, 1))
            self.assertNotIn((here(PROPOSER), StepDown("no quorum answers its heartbeats")), self.fire("tick"))
        asked = [message for _ in range(20) for to, message in self.fire("tick") if to == here(PROPOSER)]
        self.assertIn(StepDown("no quorum answers its heartbeats"), asked)

    def test_answers_to_other_heartbeats_do_not_count(self) -> None:
        """Who acknowledges an earlier lead may follow somebody else by now."""
        self.lead(B3)
        asked = []
        for _ in range(20):
            self.give(elector(2), HeartbeatAck(B1, 1))
            asked += [message for to, message in self.fire("tick") if to == here(PROPOSER)]
        self.assertIn(StepDown("no quorum answers its heartbeats"), asked)

    def test_steps_down_when_all_connections_are_lost(self) -> None:
        """Nobody needs to wait for a timeout to know that nobody is there."""
        self.lead()
        for node in (2, 3):
            self.give(elector(node), PeerDown(node))
        sent = self.fire("tick")
        self.assertIn((here(PROPOSER), StepDown("no quorum answers its heartbeats")), sent)
        self.assertIn((here(GATEWAY), QuorumHeard(False)), sent)

    def test_b21_a_pause_of_its_own_ends_no_lead(self) -> None:
        """A leader that was stopped has heard no answers, and that is not the others' fault: nothing fails over."""
        self.lead()
        self.turn.now += 30.0
        self.assertEqual(self.give(here(ELECTOR), TimerFired("tick")), beats(2, self.turn.now))

    def test_b19_grants_nobody_an_election(self) -> None:
        """A leader that helps to depose itself is deposed by every node that has lost one connection."""
        self.lead()
        self.turn.now += TIMINGS.election_seconds_max * 2
        self.assertFalse(self.granted(3))
        self.assertEqual(self.give(here(ELECTOR), TimerFired("election")), [], "nor does it ask for one")

    def test_does_not_lead_below_another(self) -> None:
        """Between its quorum of Promises and now a higher ballot has found its leader."""
        self.follow(B3)
        sent = self.lead(B1)
        self.assertEqual(sent, [(here(PROPOSER), StepDown("node 3 leads in 3.3"))])

    def test_steps_down_for_a_higher_ballot(self) -> None:
        """Whoever leads in a higher ballot was promised it by a majority."""
        self.lead()
        self.assertIn(StepDown("node 2 leads in ballot 2.2"), [message for _, message in self.follow()])

    def test_an_orphaned_promise(self) -> None:
        """An acceptor that promised a ballot nobody leads in is locked out until a higher one comes: poll at once."""
        self.turn.now += 10 * TIMINGS.silence_seconds
        self.lead()
        sent = self.give(here(PROPOSER), Stopped(B1, B3, True))
        kinds = [type(message) for _, message in sent]
        self.assertEqual((kinds.count(Resigned), kinds.count(Poll)), (2, 2))

    def test_no_election_while_somebody_leads(self) -> None:
        """The others are told at once, but whoever is heard to lead by now is left alone."""
        self.turn.now += 10 * TIMINGS.silence_seconds
        self.lead()
        self.follow(B2)
        sent = self.give(here(PROPOSER), Stopped(B1, B3, True))
        self.assertEqual(sent, [(elector(node), Resigned(B1)) for node in (2, 3)])

    def test_stopped_by_itself(self) -> None:
        """A node whose disk is stuck tells the others, and does not ask for the lead again at once."""
        self.lead()
        self.turn.now += 10 * TIMINGS.election_seconds_max
        sent = self.give(here(PROPOSER), Stopped(B1, B1, True))
        self.assertEqual(sent, [(here(GATEWAY), LeaderIs(0, B1)), *((elector(node), Resigned(B1)) for node in (2, 3))])
        wait = self.turn.timers["election"] - self.turn.now
        self.assertTrue(TIMINGS.election_seconds_min <= wait <= TIMINGS.election_seconds_max)

    def test_a_candidate_that_ended_helps_others(self) -> None:
        """Its own campaign is over: it must not go on refusing theirs."""
        for by in (B1, B2):
            self.setUp()
            self.campaign()
            self.assertFalse(self.granted(3))
            self.give(here(PROPOSER), Stopped(B1, by, False))
            self.assertTrue(self.granted(3))

    def test_overtaken_by_a_live_node(self) -> None:
        """Two nodes that overtake each other at once do so for ever: this one lets the other lead."""
        self.lead()
        self.give(elector(3), PeerHeard(3))
        self.assertEqual(self.give(here(PROPOSER), Stopped(B1, B3, True)), [(here(GATEWAY), LeaderIs(0, B1))])

    def test_overtaken_by_who_has_given_up(self) -> None:
        """A live node that gave its ballot up leaves an orphaned promise like a dead one."""
        self.lead()
        self.give(elector(3), Resigned(B3))
        self.give(elector(3), Resigned(Ballot(2, 3)))
        kinds = [type(message) for _, message in self.give(here(PROPOSER), Stopped(B1, B3, True))]
        self.assertEqual(kinds.count(Poll), 2)

    def test_a_stale_campaign_gives_way(self) -> None:
        """A candidate that comes back after a while must not depose the leader that was found without it."""
        self.campaign()
        self.assertNotIn(StepDown, [type(message) for _, message in self.follow()], "its poll is fresh")
        self.setUp()
        self.campaign()
        self.turn.now += TIMINGS.election_seconds_max
        self.assertIn(StepDown("node 2 leads in ballot 2.2"), [message for _, message in self.follow()])
        sent = self.give(here(PROPOSER), Stopped(B3, B3, False))
        self.assertEqual(sent, [(elector(node), Resigned(B3)) for node in (2, 3)])


class QuorumTests(OneElector):
    def test_whether_a_majority_is_heard(self) -> None:
        """Clients are told CLUSTERDOWN only where that is so."""
        told = []
        for _ in range(60):
            told += [message for to, message in self.fire("tick") if to == here(GATEWAY)]
        self.assertEqual(told, [QuorumHeard(False)])
        self.give(elector(3), PeerHeard(3))
        self.assertEqual(self.fire("tick"), [(here(GATEWAY), QuorumHeard(True))])


class AloneTests(OneElector):
    members = (1,)

    def test_a_cluster_of_one_waits_for_nobody(self) -> None:
        """Its only member elects itself at once."""
        self.assertEqual(self.turn.timers["election"], self.turn.now)
        self.assertEqual(self.fire("election"), [(here(PROPOSER), Campaign())])
