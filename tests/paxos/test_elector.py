"""The elector: who is alive, when to poll, and when to give the lead away. Nothing here is on disk."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, ELECTOR, GATEWAY, LEARNER, PROPOSER, RECEIVER, Address
from dkv.ballot import Ballot
from dkv.client_events import LeaderIs, Replayed
from dkv.configurations import first_configurations
from dkv.events import (
    Campaign,
    Leading,
    PeerDown,
    PeerHeard,
    PeerUp,
    Progress,
    PromiseRaised,
    TimerFired,
)
from dkv.messages import Heartbeat, HeartbeatAck, Poll, PollAnswer, Resigned
from dkv.paxos.elector import Elector
from dkv.settings import Limits, Timings
from tests.turns import FakeTurn, inject

B1, B2, B3 = Ballot(1, 1), Ballot(2, 2), Ballot(3, 3)
TIMINGS = Timings()


def elector(node: int) -> Address:
    """An elector."""
    return Address(node, ELECTOR)


def here(role: str) -> Address:
    """An actor of node 1."""
    return Address(1, role)


def told_of(ballot: Ballot) -> list[tuple[Address, Any]]:
    """What its own node hears of a leader."""
    return [(here(role), LeaderIs(ballot.node, ballot)) for role in (GATEWAY, RECEIVER)]


class OneElector(SynchronousTestCase):
    """Elector 1 of three, whose acceptor votes."""

    members: tuple[int, ...] = (1, 2, 3)

    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.elector = Elector(1, first_configurations(self.members), Limits(poll_lag_slots_max=100), TIMINGS)
        self.elector.start(self.turn)
        self.may_campaign()
        for node in (2, 3):
            self.give(elector(node), PeerUp(node, 0xB0 + node, 1))

    def may_campaign(self) -> None:
        """The acceptor votes, and the log is replayed."""
        self.give(here(ACCEPTOR), Progress(500, 0))
        self.give(here(LEARNER), Replayed(500))

    def give(self, sender: Address, message: Any) -> list[tuple[Address, Any]]:
        """Inject; what is sent."""
        self.turn.take()
        return inject(self.elector, self.turn, sender, message)

    def follow(self, ballot: Ballot = B2) -> list[tuple[Address, Any]]:
        """A heartbeat of the ballot's leader."""
        return self.give(elector(ballot.node), Heartbeat(ballot, 1, 0, 0, 0))

    def fire(self, name: str) -> list[tuple[Address, Any]]:
        """The timer fires when it is due."""
        self.turn.now = max(self.turn.now, self.turn.timers.pop(name))
        return self.give(here(ELECTOR), TimerFired(name))

    def poll(self) -> int:
        """Wait until it polls, and that is all it does; the poll's number."""
        for _ in range(20):
            sent = self.fire("election")
            numbers = {message.number for _, message in sent if isinstance(message, Poll)}
            if numbers:
                self.assertNotIn((here(PROPOSER), Campaign()), sent)
                (number,) = numbers
                return number
        raise AssertionError("it never polled")

    def answer(self, node: int, number: int, granted: bool = True) -> list[tuple[Address, Any]]:
        """A voter answers."""
        return self.give(elector(node), PollAnswer(number, granted))

    def granted(self, node: int, through: int = 500) -> bool:
        """Whether a poll of ``node`` is granted."""
        sent = self.give(elector(node), Poll(77, through))
        (answer,) = [message for to, message in sent if to == elector(node) and isinstance(message, PollAnswer)]
        return bool(answer.granted)

    def campaign(self) -> None:
        """Poll, be granted, and so run phase 1."""
        number = self.poll()
        self.assertIn((here(PROPOSER), Campaign()), self.give(elector(2), PollAnswer(number, True)))

    def lead(self, ballot: Ballot = B1) -> list[tuple[Address, Any]]:
        """The proposer leads."""
        return self.give(here(PROPOSER), Leading(ballot))


class FollowTests(OneElector):
    def test_a_heartbeat_makes_a_leader(self) -> None:
        """The gateway must know whom to send batches to."""
        sent = self.follow()
        self.assertEqual(sent, [*told_of(B2), (elector(2), HeartbeatAck(B2, 1, 500))])
        self.assertEqual(self.follow(), [(elector(2), HeartbeatAck(B2, 1, 500))])

    def test_a_deposed_leader_is_not_followed(self) -> None:
        """Two nodes that think they lead must not share their followers."""
        self.follow(B3)
        self.assertEqual(self.follow(B2), [])

    def test_nor_one_who_speaks_for_another(self) -> None:
        """A ballot is led by the node in it; batches sent to anybody else would be dropped."""
        self.assertEqual(self.give(elector(2), Heartbeat(B3, 1, 0, 0, 0)), [])

    def test_heartbeats_put_elections_off(self) -> None:
        """A leader that is heard is not deposed."""
        for _ in range(5):
            self.follow()
            self.turn.now += TIMINGS.election_seconds_min * 0.9
            self.assertEqual(self.give(here(ELECTOR), TimerFired("election")), [])

    def test_hearing_the_leader_puts_elections_off(self) -> None:
        """Any bytes count: heartbeats may be stuck behind a large frame."""
        self.follow()
        for _ in range(5):
            self.turn.now += TIMINGS.election_seconds_min * 0.9
            self.give(elector(2), PeerHeard(2))
            self.assertEqual(self.give(here(ELECTOR), TimerFired("election")), [])
            self.assertFalse(self.granted(3))

    def test_others_do_not(self) -> None:
        """A dead leader is dead however much the other followers talk."""
        self.follow()
        before = self.turn.now
        while "leader_lost" not in self.turn.noted():
            self.turn.now += 0.2
            self.give(elector(3), PeerHeard(3))
            self.give(here(ELECTOR), TimerFired("election"))
            self.assertLess(self.turn.now - before, 2 * TIMINGS.election_seconds_max)

    def test_nor_for_ever_a_node_that_beats_no_more(self) -> None:
        """One that was leader, and only follows by now, must not keep the cluster waiting by its other messages."""
        self.follow()
        before = self.turn.now
        while "leader_lost" not in self.turn.noted():
            self.turn.now += 0.5
            self.give(elector(2), PeerHeard(2))
            self.give(here(ELECTOR), TimerFired("election"))
            self.assertLess(self.turn.now - before, 10 * TIMINGS.election_seconds_max)

    def test_silence_ends_it(self) -> None:
        """Killing the leader costs about a second."""
        self.follow()
        before = self.turn.now
        self.poll()
        self.assertIn("leader_lost", self.turn.noted())
        self.assertLessEqual(self.turn.now - before, 2 * TIMINGS.election_seconds_max)

    def test_a_lost_connection_ends_it_at_once(self) -> None:
        """A killed process closes its connections: nobody needs to wait for a timeout."""
        self.follow()
        sent = self.give(elector(2), PeerDown(2))
        self.assertEqual(sent, [(here(GATEWAY), LeaderIs(0, B2))])
        wait = self.turn.timers["election"] - self.turn.now
        self.assertTrue(0.0 < wait < 0.2, "soon, and not all at once")

    def test_a_restart_and_a_resignation_end_it(self) -> None:
        """A leader that was restarted leads no more, nor does one that says so."""
        for sender, message in ((elector(2), PeerUp(2, 0xB2, 2)), (elector(2), Resigned(B2))):
            self.setUp()
            self.follow()
            self.assertIn((here(GATEWAY), LeaderIs(0, B2)), self.give(sender, message))

    def test_news_of_another_time_or_node_does_not(self) -> None:
        """A healthy leader stays when it is dialled anew, when others go, or when an earlier resignation comes late."""
        self.follow(B3)
        for sender, message in (
            (elector(3), PeerUp(3, 0xB3, 1)),
            (elector(2), PeerUp(2, 0xB2, 9)),
            (elector(2), PeerDown(2)),
            (elector(3), Resigned(Ballot(1, 3))),
        ):
            self.assertEqual(self.give(sender, message), [])

    def test_a_leader_that_polls_is_none(self) -> None:
        """Followers that go on hearing their old leader would refuse it the election that it asks for."""
        self.follow()
        self.assertTrue(self.granted(2))
        self.assertIn("leader_lost", self.turn.noted())


class PollTests(OneElector):
    def test_b19_phase_1_needs_a_majority_that_hears_no_leader(self) -> None:
        """A node that alone hears nobody must not depose a healthy leader (B19)."""
        number = self.poll()
        self.assertEqual(self.answer(2, number, granted=False), [])
        self.assertEqual(self.answer(2, number - 1), [])
        self.assertEqual(self.answer(3, number), [(here(PROPOSER), Campaign())])
        for node in (2, 3):
            self.assertEqual(self.answer(node, number), [], "once")

    def test_asks_again(self) -> None:
        """A poll that was lost is followed by another, which says how far this node is; each counts by itself."""
        self.elector = Elector(1, first_configurations(range(1, 6)), Limits(), TIMINGS)
        self.elector.start(self.turn)
        self.may_campaign()
        number = self.poll()
        self.assertEqual(self.answer(2, number), [])
        sent = self.fire("election")
        self.assertEqual(sent, [(elector(node), Poll(number + 1, 500)) for node in (2, 3, 4, 5)])
        self.assertEqual(self.answer(3, number), [])
        self.assertEqual(self.answer(4, number + 1), [])
        self.assertEqual(self.answer(5, number + 1), [(here(PROPOSER), Campaign())])

    def test_not_if_a_leader_is_heard_meanwhile(self) -> None:
        """Answers that come after a leader's heartbeat are of the past."""
        number = self.poll()
        self.follow()
        self.assertEqual(self.answer(3, number), [])

    def test_lives_and_nodes_differ(self) -> None:
        """Nodes that always wait equally long split the vote for ever; an earlier life's poll must not count."""
        waits, numbers = set(), set()
        for seed in range(8):
            self.turn.random = Random(seed)
            self.elector = Elector(1, first_configurations(self.members), Limits(), TIMINGS)
            self.elector.start(self.turn)
            self.may_campaign()
            waits.add(self.turn.timers["election"] - self.turn.now)
            numbers.add(self.poll())
        self.assertEqual((len(waits), len(numbers)), (8, 8))
        self.assertTrue(all(TIMINGS.election_seconds_min <= wait <= TIMINGS.election_seconds_max for wait in waits))

    def test_b19_refused_while_a_leader_is_heard(self) -> None:
        """One partially connected node would force elections without end (B19)."""
        self.follow()
        self.assertFalse(self.granted(3))
        self.turn.now += TIMINGS.election_seconds_min + 0.01
        self.assertTrue(self.granted(3))

    def test_refused_to_one_far_behind(self) -> None:
        """Its catch-up would be an outage."""
        self.assertFalse(self.granted(2, through=399))
        self.assertTrue(self.granted(2, through=400))

    def test_b13_refused_to_one_behind_what_is_compacted(self) -> None:
        """Perhaps nobody has the slots any more that it lacks: it would lead after a snapshot at best."""
        self.give(here(ACCEPTOR), Progress(500, 450))
        self.assertFalse(self.granted(2, through=449))
        self.assertTrue(self.granted(2, through=450))

    def test_refused_while_somebody_is_about_to_lead(self) -> None:
        """Campaigns that cross end each other: no leader, for ever."""
        self.campaign()
        self.assertFalse(self.granted(3))
        self.turn.now += TIMINGS.election_seconds_max
        self.assertTrue(self.granted(3))
        self.give(here(ACCEPTOR), PromiseRaised(B2))
        self.assertFalse(self.granted(3))
        self.assertTrue(self.granted(2), "whom the promise was made to")
        self.give(elector(2), PeerDown(2))
        self.assertTrue(self.granted(3), "who got the promise is gone: waiting would be an outage")
        self.give(elector(2), PeerHeard(2))
        self.assertFalse(self.granted(3))
        self.turn.now += TIMINGS.election_seconds_min + 0.01
        self.assertTrue(self.granted(3))
        self.give(here(ACCEPTOR), PromiseRaised(B3))
        self.assertFalse(self.granted(2), "its id being the lower one changes nothing")
        self.assertTrue(self.granted(3))

    def test_granting_changes_nothing(self) -> None:
        """A voter that waits for whom it granted could be kept from ever running itself."""
        timers = dict(self.turn.timers)
        self.turn.now = timers["election"]
        self.assertTrue(self.granted(2))
        self.assertTrue(self.granted(3))
        self.assertEqual(self.turn.timers, timers)
        self.assertIn(Poll, [type(message) for _, message in self.fire("election")])

    def test_a_promise_puts_the_own_election_off(self) -> None:
        """Whoever got that promise is about to lead."""
        self.follow()
        self.give(elector(2), PeerDown(2))
        self.give(here(ACCEPTOR), PromiseRaised(B3))
        self.assertEqual(self.fire("election"), [])
        self.assertGreater(self.turn.timers["election"] - self.turn.now, TIMINGS.election_seconds_min - 0.2)

    def test_b12_a_node_that_does_not_vote_takes_no_part(self) -> None:
        """It cannot promise, so it can neither lead nor tell others to."""
        self.elector = Elector(1, first_configurations(self.members), Limits(), TIMINGS)
        self.elector.start(self.turn)
        self.assertFalse(self.granted(2, through=10**6))
        self.assertEqual([message for _, message in self.fire("election")], [])

    def test_b21_a_pause_of_its_own(self) -> None:
        """A node that was stopped has heard nobody, and that is not the others' fault (B21)."""
        self.follow()
        self.turn.now += 30.0
        self.give(here(ELECTOR), TimerFired("tick"))
        self.assertEqual(self.give(here(ELECTOR), TimerFired("election")), [])
        self.assertIn("paused", self.turn.noted())

    def test_b21_a_pause_is_time_beyond_the_tick(self) -> None:
        """Half the shortest election is a pause; less is a busy machine, whatever the clock's zero is."""
        for began in (0.25, 100.0):
            for late, noted in ((0.49, []), (0.51, ["paused"])):
                self.turn = FakeTurn(began)
                self.elector = Elector(1, first_configurations(self.members), Limits(), TIMINGS)
                self.elector.start(self.turn)
                self.turn.now += TIMINGS.heartbeat_seconds + late * TIMINGS.election_seconds_min
                self.give(here(ELECTOR), TimerFired("tick"))
                self.assertEqual([event for event in self.turn.noted() if event == "paused"], noted)
