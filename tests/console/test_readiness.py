"""Readiness: a node is ready if it served of late, or could have."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.actor import Note, NoteFields
from dkv.ballot import Ballot
from dkv.configurations import Configuration, Configurations
from dkv.console.readiness import Readiness
from dkv.settings import CLASSIC, LEADER


class ReadinessTestCase(SynchronousTestCase):
    """Node 1, which gives up on a request after five seconds."""

    mode = LEADER

    def setUp(self) -> None:
        self.now = 100.0
        self.readiness = Readiness(1, 5.0, lambda: self.now, self.mode)
        self.note(noted.votes)
        self.note(noted.replayed, applied_through=0)

    def note(self, event: Note[NoteFields], /, *_: NoteFields.args, **fields: NoteFields.kwargs) -> None:
        """An actor notes something."""
        self.readiness.takers[event](**fields)

    def lead(self, node: int = 2) -> None:
        """A node comes to lead."""
        self.note(noted.leader_elected, leader=node, ballot=Ballot(1, node))

    def prove(self, at: float, through: int = 0) -> None:
        """The elector has its proof."""
        self.note(noted.may_serve, at=at, through=through)

    def failing(self) -> dict[str, str]:
        """The conditions that do not hold, and why."""
        return {condition.name: condition.failure for condition in self.readiness.conditions() if not condition.holds}

    def assertReady(self) -> None:
        """All conditions hold."""
        self.assertEqual(self.failing(), {})
        self.assertTrue(self.readiness.ready)


class ServedTests(ReadinessTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.lead()

    def test_b41_a_leader_that_is_heard(self) -> None:
        """Clients that are sent to such a node get nothing but timeouts, for as long as it lasts."""
        self.now += 7.5
        self.assertEqual(self.failing(), {"served": "node 2, the leader, has not answered this node for 7.5 s"})
        self.assertFalse(self.readiness.ready)

    def test_b41_no_longer_than_a_request_may_take(self) -> None:
        """A node that is cut off is not ready when the first request would time out."""
        self.prove(100.0)
        self.now = 104.9
        self.assertReady()
        self.now = 105.0
        self.assertEqual(list(self.failing()), ["served"])
        self.prove(104.0)
        self.assertReady()

    def test_b41_stuck_in_catch_up(self) -> None:
        """A read would wait for a slot that does not come."""
        self.prove(100.0, through=40)
        self.note(noted.applied, through=12, commands=1)
        self.now = 106.0
        self.prove(106.0, through=60)
        self.assertEqual(self.failing(), {"served": "it has applied slot 12 of 40 and is behind for 6.0 s"})
        self.note(noted.applied, through=40, commands=1)
        self.assertEqual(list(self.failing()), ["served"], "that read has timed out")
        self.prove(106.5, through=40)
        self.assertReady()

    def test_always_a_little_behind(self) -> None:
        """A busy follower applies what is chosen a moment later, and serves."""
        for second in range(20):
            self.now = 101.0 + second
            self.prove(self.now - 0.2, through=10 * (second + 1))
            self.note(noted.applied, through=10 * second + 5, commands=1)
            if second:
                self.assertReady()

    def test_b41_of_the_leader_of_now(self) -> None:
        """A node that could reach the last leader may not reach the next one."""
        self.prove(100.0)
        self.now = 101.0
        self.note(noted.leader_lost, leader=2, ballot=Ballot(1, 2), reason="")
        self.assertEqual(list(self.failing()), ["leader_known", "served"])
        self.lead(3)
        self.prove(100.9)
        self.assertEqual(list(self.failing()), ["served"])
        self.prove(101.1)
        self.assertReady()

    def test_reads_and_writes_prove_it(self) -> None:
        """No proof is better than what was done; a cluster that has served its first client is ready."""
        self.now = 101.0
        self.note(noted.reads_evaluated, commands=1, seconds=0.5)
        self.assertReady()
        self.now = 110.0
        self.note(noted.batch_numbered, commands=1, seconds=0.0)
        self.now = 111.0
        self.assertEqual(list(self.failing()), ["served"])
        self.note(noted.batch_agreed, commands=1, seconds=1.0)
        self.now = 114.9
        self.assertReady()
        self.now = 115.1
        self.assertEqual(list(self.failing()), ["served"])

    def test_b41_writes_that_nobody_decides(self) -> None:
        """A node whose barriers come back, and whose writes do not, answers UNCERTAIN to every writer."""
        self.note(noted.batch_numbered, commands=1, seconds=0.0)
        self.note(noted.batch_numbered, commands=1, seconds=0.0)
        self.now = 105.5
        self.prove(105.4)
        self.assertEqual(self.failing(), {"served": "what clients wrote here has waited for 5.5 s to be agreed on"})
        for _ in range(2):
            self.note(noted.batch_agreed, commands=1, seconds=5.5)
        self.assertReady()

    def test_b41_writes_that_a_snapshot_passed(self) -> None:
        """They are waited for no more: a node that caught up by a snapshot would never be ready again (simulator)."""
        self.note(noted.batch_numbered, commands=1, seconds=0.0)
        self.note(noted.batch_numbered, commands=1, seconds=0.0)
        self.note(noted.batch_passed, commands=1)
        self.now = 105.5
        self.prove(105.4)
        self.assertEqual(list(self.failing()), ["served"], "the second one is")
        self.note(noted.batch_passed, commands=1)
        self.assertReady()
        self.now = 110.5
        self.assertEqual(list(self.failing()), ["served"], "nobody was served by that")

    def test_the_leader_alone_is_heard(self) -> None:
        """A node of five that the other three do not reach is served by its leader, who has a quorum without it."""
        self.note(noted.quorum_lost, heard=[2])
        self.prove(100.0)
        self.assertReady()
        self.note(noted.leader_lost, leader=2, ballot=Ballot(1, 2), reason="")
        self.assertEqual(list(self.failing()), ["leader_known", "quorum_heard", "served"])

    def test_an_election_is_no_reason_to_leave(self) -> None:
        """While a majority elects a leader, requests wait: clients that are told to go find no node that is better."""
        self.prove(100.0)
        self.assertTrue(self.readiness.serves)
        self.note(noted.leader_lost, leader=2, ballot=Ballot(1, 2), reason="")
        self.now = 104.9
        self.assertFalse(self.readiness.ready)
        self.assertTrue(self.readiness.serves)
        self.now = 105.1
        self.assertFalse(self.readiness.serves, "it takes longer than a request may")

    def test_whoever_is_alone_is_left_at_once(self) -> None:
        """A client that asks such a node for a better one must not be sent back to it."""
        self.prove(100.0)
        self.note(noted.quorum_lost, heard=[2])
        self.assertTrue(self.readiness.serves, "by the leader, who has a quorum")
        self.note(noted.leader_lost, leader=2, ballot=Ballot(1, 2), reason="")
        self.assertFalse(self.readiness.serves)
        self.note(noted.quorum_heard, heard=[2, 3])
        self.assertTrue(self.readiness.serves)
        self.lead(1)
        self.note(noted.quorum_lost, heard=[])
        self.assertFalse(self.readiness.serves, "the leader itself hears nobody")

    def test_writes_that_nobody_decides_are_a_reason_to_leave(self) -> None:
        """Reads alone do not make a node one that serves."""
        self.note(noted.batch_numbered, commands=1, seconds=0.0)
        self.now = 105.0
        self.prove(105.0)
        self.assertFalse(self.readiness.serves)

    def test_a_node_that_never_served(self) -> None:
        """At its start nothing is known yet, so nobody is sent to it."""
        self.assertFalse(self.readiness.serves)
        self.prove(100.0)
        self.assertTrue(self.readiness.serves)
        self.note(noted.removed, slot=7, addresses=[])
        self.assertFalse(self.readiness.serves)

    def test_this_node_leads(self) -> None:
        """The sentence names what is missing."""
        self.lead(1)
        self.now += 6.0
        self.assertEqual(self.failing(), {"served": "no majority has answered this node for 6.0 s"})

    def test_the_other_conditions(self) -> None:
        """They are told apart, for each has another cure."""
        readiness = Readiness(1, 5.0, lambda: self.now, member=False)
        readiness.takers[noted.quorum_lost](heard=[])
        self.assertEqual([each.holds for each in readiness.conditions()], [False] * 6)
        readiness.takers[noted.quorum_heard](heard=[2])
        self.assertEqual([each.name for each in readiness.conditions() if each.holds], ["quorum_heard"])


class MemberTests(ReadinessTestCase):
    """A node is ready only while it is a member, and a standby need not vote."""

    def setUp(self) -> None:
        super().setUp()
        self.readiness = Readiness(4, 5.0, lambda: self.now, member=False)
        self.note(noted.replayed, applied_through=0)

    def members_are(self, applied: int) -> None:
        """Node 4 joins in slot 10 as a standby, votes from slot 164 on, and is gone from slot 264 on."""
        voters = frozenset((1, 2, 3))
        sets = (
            Configuration(0, 1, voters),
            Configuration(10, 74, voters, frozenset((4,))),
            Configuration(100, 164, voters | {4}),
            Configuration(200, 264, voters),
        )
        held = Configurations(tuple(each for each in sets if each.slot <= applied), (), 4)
        self.note(noted.members_are, configurations=held, applied=applied)

    def serve(self) -> None:
        self.lead()
        self.prove(self.now)

    def test_a_node_that_joins(self) -> None:
        """It answers nothing before the log names it."""
        self.serve()
        self.assertIn("member", self.failing())
        self.members_are(10)
        self.assertReady()

    def test_a_standby_does_not_vote(self) -> None:
        """It serves its clients all the same; a voter that may not vote does not."""
        self.serve()
        self.members_are(120)
        self.assertReady()
        self.members_are(163)
        self.assertEqual(list(self.failing()), ["voting"])
        self.note(noted.votes)
        self.assertReady()

    def test_a_removed_node(self) -> None:
        """By its own log, or by what a member says."""
        self.note(noted.votes)
        self.serve()
        self.members_are(262)
        self.assertReady()
        self.members_are(263)
        self.assertEqual(list(self.failing()), ["member"])
        self.members_are(163)
        self.note(noted.removed, slot=200, addresses=[])
        self.assertEqual(list(self.failing()), ["member"])


class ClassicReadinessTests(ReadinessTestCase):
    mode = CLASSIC

    def test_b41_nobody_leads(self) -> None:
        """A majority that is heard and does not hear this node decides nothing for it."""
        self.now += 6.0
        self.assertEqual(self.failing(), {"served": "no majority has answered this node for 6.0 s"})
        self.prove(105.0)
        self.assertReady()
