"""Room on the disks: what is said, what is decided by it, and that nobody decides for itself alone."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import CHECKER, ELECTOR, GATEWAY, HOST, LEARNER, Address
from dkv.client_events import ShortOfSpace
from dkv.configurations import Configuration, Configurations
from dkv.events import DiskMeasured, Leading, MembersAre
from dkv.messages import DiskSpace, Heartbeat, HeartbeatAck
from dkv.paxos.space import WORD_SECONDS, Space
from dkv.records import ShortDisk
from tests.paxos.test_elector import B1, B2, B3, OneElector, elector, here
from tests.turns import FakeTurn

FULL, ROOMY = DiskSpace(5, 12, True), DiskSpace(50, 10, False)
OWN_FULL, OWN_ROOMY = DiskMeasured(5, 12, True), DiskMeasured(50, 10, False)


class SpaceTests(SynchronousTestCase):
    """The words and the decision by themselves, on node 1 of three."""

    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.space = Space(1)

    def decided(self) -> list[int]:
        """The nodes whose disks are short by a decision that is made now."""
        self.space.decide(self.turn, (1, 2, 3))
        return [disk.node for disk in self.space.short]

    def test_all_are_told(self) -> None:
        """The leader of the next minute must know of every disk, too."""
        self.space.measured(self.turn, OWN_FULL, (2, 3))
        self.assertEqual(self.turn.take(), [(elector(2), FULL), (elector(3), FULL)])

    def test_by_all_words(self) -> None:
        """The own disk counts like any other, and each has its figures in the refusal."""
        self.assertEqual(self.decided(), [])
        self.space.said(3, FULL, self.turn.now)
        self.space.measured(self.turn, OWN_FULL, (2, 3))
        self.space.said(2, ROOMY, self.turn.now)
        self.assertEqual(self.decided(), [1, 3])
        self.assertEqual(self.space.short, (ShortDisk(1, 5, 12), ShortDisk(3, 5, 12)))
        self.space.measured(self.turn, OWN_ROOMY, (2, 3))
        self.space.said(3, ROOMY, self.turn.now)
        self.assertEqual(self.decided(), [])

    def test_voters_alone_decide(self) -> None:
        """The small disk of a standby, or of a node that was removed, must not stop the writes of all."""
        self.space.said(3, FULL, self.turn.now)
        self.space.decide(self.turn, (1, 2))
        self.assertEqual(self.space.short, ())
        self.space.decide(self.turn, (1, 3))
        self.assertEqual(self.space.short, (ShortDisk(3, 5, 12),))

    def test_a_node_that_is_down(self) -> None:
        """Its disk gets no fuller, and the others must not refuse for ever because of its last word."""
        self.space.said(2, FULL, self.turn.now)
        self.turn.now += WORD_SECONDS - 0.1
        self.assertEqual(self.decided(), [2])
        self.turn.now += 0.1
        self.assertEqual(self.decided(), [])
        self.space.said(2, FULL, self.turn.now)
        self.assertEqual(self.decided(), [2])

    def both(self, *short: ShortDisk) -> list[tuple[Address, ShortOfSpace]]:
        """What is sent of a decision."""
        return [(Address(1, role), ShortOfSpace(short)) for role in (CHECKER, GATEWAY)]

    def test_news_alone(self) -> None:
        """Gateway and checker hear of each change, the log of another disk; not again and again of the same."""
        self.space.said(2, FULL, self.turn.now)
        for _ in range(3):
            self.space.decide(self.turn, (1, 2, 3))
        self.assertEqual(self.turn.take(), self.both(ShortDisk(2, 5, 12)))
        self.space.said(2, DiskSpace(4, 12, True), self.turn.now)
        self.space.decide(self.turn, (1, 2, 3))
        self.assertEqual(self.turn.take(), self.both(ShortDisk(2, 4, 12)))
        self.space.said(2, ROOMY, self.turn.now)
        self.space.decide(self.turn, (1, 2, 3))
        self.assertEqual(self.turn.take(), self.both())
        self.assertEqual(self.turn.notes, [("growth_refused", {"disks": [2], "free_bytes": 5}), ("growth_served", {})])

    @given(st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.floats(0, WORD_SECONDS)), max_size=12))
    def test_against_the_rule(self, words: list[tuple[int, bool, float]]) -> None:
        """Short are the disks whose nodes said so last, and not too long ago."""
        space, turn, said = Space(1), FakeTurn(), []
        for node, short, seconds in words:
            space.said(node, FULL if short else ROOMY, turn.now)
            said.append((node, short, turn.now))
            turn.now += seconds
        last = {node: (short, at) for node, short, at in said}
        expected = [node for node, (short, at) in sorted(last.items()) if short and turn.now - at < WORD_SECONDS]
        space.decide(turn, (1, 2, 3))
        self.assertEqual([disk.node for disk in space.short], expected)


class OfElectorsTests(OneElector):
    """A leader decides for all, and the others obey."""

    def told(self, sent: list[tuple[Address, Any]]) -> list[Any]:
        """What the gateway is told of disks."""
        return [message for to, message in sent if to == here(GATEWAY) and isinstance(message, ShortOfSpace)]

    def beats(self, sent: list[tuple[Address, Any]]) -> list[tuple[int, tuple[ShortDisk, ...]]]:
        """The disks that heartbeats name, with the node that each goes to."""
        return [(to.node, message.short) for to, message in sent if isinstance(message, Heartbeat)]

    def test_a_leader_decides_for_all(self) -> None:
        """A client that is refused on one node and served on the next would fill the same disk all the same."""
        self.lead()
        self.assertEqual(self.give(elector(3), FULL), [])
        sent = self.fire("tick")
        short = (ShortDisk(3, 5, 12),)
        self.assertEqual(self.beats(sent), [(2, short), (3, short)])
        self.assertEqual(self.told(sent), [ShortOfSpace(short)])
        self.give(elector(2), HeartbeatAck(B1, 2))
        self.give(elector(3), ROOMY)
        sent = self.fire("tick")
        self.assertEqual(self.beats(sent), [(2, ()), (3, ())])
        self.assertEqual(self.told(sent), [ShortOfSpace(())])

    def test_the_leader_itself(self) -> None:
        """Its own disk counts like the others'."""
        self.lead()
        self.assertEqual(self.told(self.give(here(HOST), OWN_FULL)), [])
        self.assertEqual(self.told(self.fire("tick")), [ShortOfSpace((ShortDisk(1, 5, 12),))])

    def test_b50_nobody_decides_for_itself(self) -> None:
        """A follower tells its measure, and obeys: by its own disk alone it neither refuses nor serves."""
        self.follow(B2)
        self.assertEqual(self.give(here(HOST), OWN_FULL), [(elector(2), FULL), (elector(3), FULL)])
        self.assertEqual(self.give(elector(3), FULL), [])
        self.assertEqual(self.told(self.follow(B2)), [], "the leader says nothing of it")
        short = (ShortDisk(3, 5, 12),)
        self.assertEqual(self.told(self.give(elector(2), Heartbeat(B2, 2, 0, 0, 0, short))), [ShortOfSpace(short)])
        self.give(here(HOST), OWN_ROOMY)
        self.assertEqual(self.told(self.give(elector(2), Heartbeat(B2, 3, 0, 0, 0, short))), [])

    def test_a_deposed_leader_decides_nothing(self) -> None:
        """Two leaders at a time would make the cluster serve and refuse in turn."""
        self.follow(B3)
        self.assertEqual(self.told(self.give(elector(2), Heartbeat(B2, 2, 0, 0, 0, (ShortDisk(3, 5, 12),)))), [])

    def test_a_new_leader_knows_the_disks(self) -> None:
        """A failover must not open the gates for a moment: all nodes have heard all words."""
        self.follow(B2)
        self.give(elector(3), FULL)
        sent = self.lead(B3)
        self.assertEqual(self.beats(sent), [(2, (ShortDisk(3, 5, 12),)), (3, (ShortDisk(3, 5, 12),))])

    def test_members_come_and_go(self) -> None:
        """A standby hears of the disks and says nothing that counts; once it is a voter its disk counts like any."""
        standby = Configuration(10, 74, frozenset((1, 2)), frozenset((3,)))
        self.give(here(LEARNER), MembersAre(Configurations((standby,), (), 3), 100))
        self.lead()
        self.assertEqual(self.give(here(HOST), OWN_ROOMY), [(elector(2), ROOMY), (elector(3), ROOMY)])
        self.give(elector(3), FULL)
        self.assertEqual(self.beats(self.fire("tick")), [(2, ()), (3, ())])
        promoted = Configuration(110, 174, frozenset((1, 2, 3)))
        self.give(here(LEARNER), MembersAre(Configurations((standby, promoted), (), 3), 173))
        short = (ShortDisk(3, 5, 12),)
        self.assertEqual(self.beats(self.fire("tick")), [(2, short), (3, short)])

    def test_one_beat_one_decision(self) -> None:
        """A peer that comes up hears the last beat as the others did: equal beats say equal things."""
        self.lead()
        self.give(elector(3), FULL)
        self.turn.take()
        self.elector._space.decide(self.turn, (1, 2, 3))
        self.elector._heartbeats.send(self.turn, self.elector._standing, 2)  # type: ignore[arg-type]  # it leads
        self.assertEqual(self.beats(self.turn.take()), [(2, ())])


class OfOneTests(OneElector):
    """A cluster of one node."""

    members = (1,)

    def setUp(self) -> None:
        self.turn = FakeTurn()
        super().setUp()

    def test_alone(self) -> None:
        """Its own word is the whole cluster's."""
        self.give(here(ELECTOR), Leading(B1))
        self.give(here(HOST), OWN_FULL)
        self.assertIn((here(GATEWAY), ShortOfSpace((ShortDisk(1, 5, 12),))), self.fire("tick"))
