"""The elector's proof that its node can serve, and leaders that reach the others one way only."""

from __future__ import annotations

from typing import Any

from dkv.actor import ELECTOR, PROPOSER
from dkv.events import PeerDown, PeerHeard, StepDown, TimerFired
from dkv.messages import Barrier, BarrierRequest, Heartbeat, HeartbeatAck, Poll, Resigned
from tests.paxos.test_elector import B1, B2, B3, TIMINGS, OneElector, elector, here

NO_QUORUM = (here(PROPOSER), StepDown("no quorum answers its heartbeats"))


class ProofTestCase(OneElector):
    def proofs(self) -> list[tuple[float, int]]:
        """The proofs noted since the last look: since when a read could be served, and at which slot."""
        found = [(fields["at"], fields["through"]) for event, fields in self.turn.measures if event == "may_serve"]
        self.turn.measures.clear()
        return found


class FollowerProofTests(ProofTestCase):
    """A follower proves that its messages reach the leader."""

    def hear(self, beat: int, acked: int, confirmed: int, through: int = 0, ballot: Any = B2) -> list[Any]:
        self.turn.now += 1.0
        return self.give(elector(ballot.node), Heartbeat(ballot, beat, acked, confirmed, through))

    def test_b41_the_answer_is_echoed(self) -> None:
        """Ready from the moment of the answer that came through, not of the echo: it may be cut off since."""
        self.hear(5, 0, 4)
        self.assertEqual(self.proofs(), [])
        self.hear(6, 5, 5, 40)
        self.assertEqual(self.proofs(), [(101.0, 40)])
        self.hear(7, 6, 6, 41)
        self.assertEqual(self.proofs(), [(102.0, 41)])

    def test_b41_hearing_is_not_enough(self) -> None:
        """A node that hears the leader, and whose own messages get lost, serves nothing for as long as that lasts."""
        for beat in range(5, 40):
            self.hear(beat, 4, beat)
        self.assertEqual(self.proofs(), [])

    def test_b41_nor_a_leader_without_a_quorum(self) -> None:
        """A leader whom no majority confirms answers no read of anybody."""
        for beat in range(5, 40):
            self.hear(beat, beat - 1, 4)
        self.assertEqual(self.proofs(), [])

    def test_late_answers(self) -> None:
        """On a slow network the answers of several heartbeats are under way; each proof is for the first of them."""
        for beat in range(5, 12):
            self.hear(beat, max(beat - 4, 0), max(beat - 4, 0))
        self.assertEqual(self.proofs(), [(101.0, 0)])
        for beat in range(12, 17):
            self.hear(beat, beat - 4, beat - 4)
        self.assertEqual(self.proofs(), [(105.0, 0)])

    def test_of_this_leader(self) -> None:
        """That the last leader was within reach says nothing about the next one."""
        self.hear(50, 0, 0)
        self.hear(7, 99, 99, ballot=B3)
        self.assertEqual(self.proofs(), [])
        self.hear(8, 7, 7, ballot=B3)
        self.assertEqual(self.proofs(), [(102.0, 0)])

    def test_no_answer_before_the_heartbeat(self) -> None:
        """A leader is asked nothing but what its heartbeats ask: no message more than there were."""
        self.assertEqual(self.hear(5, 4, 4)[2:], [(elector(2), HeartbeatAck(B2, 5, 500))])


class LeaderProofTests(ProofTestCase):
    """A leader proves that a quorum of acceptors holds to its ballot."""

    def test_b41_a_barrier_with_each_heartbeat(self) -> None:
        """The leader can serve once a quorum has confirmed its ballot, since it was asked."""
        self.assertIn((here(PROPOSER), BarrierRequest(0, 1)), self.lead())
        self.assertEqual(self.proofs(), [])
        self.turn.now += 0.5
        self.give(here(PROPOSER), Barrier(0, 1, 30))
        self.assertEqual(self.proofs(), [(100.0, 30)])
        for beat in (2, 3):
            self.turn.now += 1.0
            self.assertIn((here(PROPOSER), BarrierRequest(0, beat)), self.fire("tick"))
        self.give(here(PROPOSER), Barrier(0, 2, 31))
        self.assertEqual(self.proofs(), [(101.5, 31)])

    def test_each_follower_hears_of_its_own_answers(self) -> None:
        """One that hears of another's answers would take itself for connected."""
        self.lead()
        self.give(elector(2), HeartbeatAck(B1, 1))
        self.give(elector(3), HeartbeatAck(B3, 1))
        self.give(here(PROPOSER), Barrier(0, 1, 30))
        beats = {to.node: message for to, message in self.fire("tick") if isinstance(message, Heartbeat)}
        self.assertEqual(beats, {2: Heartbeat(B1, 2, 1, 1, 30), 3: Heartbeat(B1, 2, 0, 1, 30)})

    def test_of_this_lead(self) -> None:
        """What was confirmed in an earlier ballot is nothing for this one to be proud of."""
        self.lead(B1)
        self.give(elector(3), HeartbeatAck(B1, 1))
        self.follow(B2)
        self.lead(B3)
        self.give(here(PROPOSER), Barrier(0, 1, 30))
        self.assertEqual(self.proofs(), [])
        beats = [message for _, message in self.fire("tick") if isinstance(message, Heartbeat)]
        self.assertEqual({beat.acked for beat in beats}, {0})

    def test_a_barrier_that_comes_too_late(self) -> None:
        """A node that leads no more proves nothing."""
        self.lead()
        self.follow(B2)
        self.give(here(PROPOSER), Barrier(0, 1, 30))
        self.assertEqual(self.proofs(), [])


class OneWayTests(OneElector):
    """A reaches B and B does not reach A, for days: leadership is where a quorum is reached both ways, and stays."""

    def days(self, *heard: int) -> list[tuple[Any, Any]]:
        """Many ticks, in which signs of life of ``heard`` come in, and no messages; all that is sent."""
        sent = []
        for _ in range(500):
            for node in heard:
                sent += self.give(elector(node), PeerHeard(node))
            sent += self.fire("tick")
            if self.turn.timers.get("election", self.turn.now + 1) <= self.turn.now:
                sent += self.fire("election")
        return sent

    def test_a_leader_that_nobody_answers(self) -> None:
        """Its heartbeats arrive, and put the others' elections off for as long as it goes on."""
        self.lead()
        sent = []
        for _ in range(int(TIMINGS.election_seconds_max / TIMINGS.heartbeat_seconds) + 2):
            for node in (2, 3):
                self.give(elector(node), PeerHeard(node))
            sent += self.fire("tick")
        self.assertIn(NO_QUORUM, sent)

    def test_a_leader_that_nobody_hears(self) -> None:
        """Signs of life of its machine are no heartbeats: the others come to elect one of them."""
        self.follow(B2)
        polls = [message for _, message in self.days(2) if isinstance(message, Poll)]
        self.assertTrue(polls)
        self.assertTrue(self.granted(3), "and so do the others of whom each needs a vote")

    def test_b19_who_only_hears_disturbs_nobody(self) -> None:
        """It polls, as it hears no leader; polls without answers are no elections."""
        sent = self.days(2, 3)
        self.assertFalse([message for to, message in sent if to == here(PROPOSER)])
        self.assertEqual({type(message) for to, message in sent if to.role == ELECTOR}, {Poll})

    def test_b19_who_is_not_heard_follows(self) -> None:
        """Its answers get lost; the leader has a quorum without it, and it asks for no election."""
        sent = []
        for beat in range(1, 500):
            self.turn.now += TIMINGS.heartbeat_seconds
            sent += self.give(elector(2), Heartbeat(B2, beat, 0, beat, 0))
            if self.turn.timers.get("election", self.turn.now + 1) <= self.turn.now:
                sent += self.give(here(ELECTOR), TimerFired("election"))
        self.assertFalse([message for _, message in sent if isinstance(message, Poll)])

    def test_a_resignation_frees_the_others(self) -> None:
        """A leader whose answers get lost tells them when it gives up: they need not wait for its silence."""
        self.follow(B2)
        self.assertFalse(self.granted(3))
        self.give(elector(2), Resigned(B2))
        self.give(elector(2), PeerHeard(2))
        self.assertTrue(self.granted(3))

    def test_a_lost_connection_frees_them_too(self) -> None:
        """The one that carries the leader's messages is gone; that it still accepts this node's changes nothing."""
        self.follow(B2)
        self.give(elector(2), PeerDown(2))
        self.give(elector(2), PeerHeard(2))
        self.assertTrue(self.granted(3))
