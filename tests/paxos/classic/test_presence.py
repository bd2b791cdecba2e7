"""Presence: who may be given work in classic mode."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, CHECKER, ELECTOR, GATEWAY, Address
from dkv.ballot import ZERO
from dkv.client_events import LeaderIs, QuorumHeard, ShortOfSpace
from dkv.configurations import Configuration, Configurations, first_configurations
from dkv.events import (
    DiskMeasured,
    MembersAre,
    PeerDown,
    PeerHeard,
    PeerUp,
    Progress,
    PromiseRaised,
    TimerFired,
)
from dkv.messages import DiskSpace
from dkv.paxos.classic.presence import Presence
from dkv.paxos.space import WORD_SECONDS
from dkv.records import ShortDisk
from dkv.settings import Timings
from tests.turns import FakeTurn, inject

TIMINGS = Timings()
AT_WORK, IDLE = LeaderIs(1, ZERO), LeaderIs(0, ZERO)


class PresenceTests(SynchronousTestCase):
    def begin(self, members: tuple[int, ...] = (1, 2, 3)) -> None:
        """A new life."""
        self.turn = FakeTurn()
        self.presence = Presence(1, first_configurations(members), TIMINGS)
        self.presence.start(self.turn)

    def setUp(self) -> None:
        self.begin()

    def give(self, message: Any) -> list[Any]:
        """Inject; what the gateway is told."""
        sent = inject(self.presence, self.turn, Address(1, ACCEPTOR), message)
        self.assertTrue(all(to in (Address(1, CHECKER), Address(1, GATEWAY)) for to, _ in sent))
        return [told for to, told in sent if to == Address(1, GATEWAY)]

    def tick(self, seconds: float = TIMINGS.heartbeat_seconds) -> list[Any]:
        """Time passes, and the timer fires."""
        self.turn.now += seconds
        return self.give(TimerFired("tick"))

    def silence(self) -> list[Any]:
        """Nothing is heard for long."""
        told = []
        for _ in range(int(TIMINGS.silence_seconds / TIMINGS.heartbeat_seconds) + 2):
            told += self.tick()
        return told

    def test_votes_and_hears_a_quorum(self) -> None:
        """Work is taken from clients only when it can be done; one peer of two is enough."""
        self.assertEqual(self.give(Progress(0, 0)), [])
        self.assertEqual(self.give(PeerUp(2, 7, 1)), [AT_WORK])
        self.assertEqual(self.give(PeerUp(3, 8, 1)), [])

    def test_members(self) -> None:
        """A standby serves its clients; what a node proposes before it is a member, or after that, is skipped."""
        self.give(Progress(0, 0))
        self.give(PeerUp(2, 7, 1))
        for voters, standbys, told in (
            ((2,), (3,), [IDLE]),
            ((2, 3, 4), (1,), [QuorumHeard(False)]),
            ((2,), (1,), [QuorumHeard(True), AT_WORK]),
        ):
            sets = (Configuration(10, 74, frozenset(voters), frozenset(standbys)),)
            self.give(MembersAre(Configurations(sets, (), 4), 73))
            self.assertEqual(self.tick(), told)

    def test_does_not_vote(self) -> None:
        """A node that lost its disk is no member to its peers."""
        self.assertEqual(self.give(PeerHeard(2)), [])
        self.assertEqual(self.give(Progress(0, 0)), [AT_WORK])

    def test_a_majority_falls_silent(self) -> None:
        """Requests must be refused with certainty, not numbered and left without a decision; and served again later."""
        self.give(Progress(0, 0))
        self.give(PeerHeard(2))
        self.assertEqual(self.silence(), [QuorumHeard(False), IDLE])
        self.assertEqual(self.give(PeerHeard(3)), [QuorumHeard(True), AT_WORK])
        self.assertEqual(self.turn.noted(), ["quorum_lost", "quorum_heard"])

    def test_a_connection_is_lost(self) -> None:
        """It is silence that is known at once."""
        self.give(Progress(0, 0))
        self.give(PeerHeard(2))
        self.assertEqual(self.give(PeerDown(2)) + self.tick(), [QuorumHeard(False), IDLE])

    def test_b21_a_pause_of_its_own(self) -> None:
        """What a paused node did not hear says nothing about the others."""
        self.give(Progress(0, 0))
        self.give(PeerHeard(2))
        self.assertEqual(self.tick(60.0), [])
        self.assertEqual(self.turn.noted(), ["paused"])

    def test_nothing_is_said_twice(self) -> None:
        """An idle node must not write log lines."""
        self.give(Progress(0, 0))
        self.give(PeerHeard(2))
        for _ in range(100):
            self.assertEqual(self.tick() + self.give(PeerHeard(2)) + self.give(PromiseRaised(ZERO)), [])
        self.assertEqual(self.turn.notes, [])

    def test_alone(self) -> None:
        """A cluster of one is its own majority."""
        self.begin((1,))
        self.give(Progress(0, 0))
        self.assertEqual(self.tick(), [AT_WORK])

    def test_a_disk_that_is_short(self) -> None:
        """Nobody leads, so each node goes by all words: they are the same for all."""
        short = ShortOfSpace((ShortDisk(2, 5, 12),))
        self.assertEqual(
            inject(self.presence, self.turn, Address(2, ELECTOR), DiskSpace(5, 12, True)),
            [(Address(1, role), short) for role in (CHECKER, GATEWAY)],
        )
        self.turn.now += WORD_SECONDS
        self.assertIn(ShortOfSpace(()), self.tick(), "a node that is down refuses nothing for ever")

    def test_its_own_disk(self) -> None:
        """The others hear of it in the same turn in which it counts here."""
        sent = inject(self.presence, self.turn, Address(1, ACCEPTOR), DiskMeasured(5, 12, True))
        told = [(Address(node, ELECTOR), DiskSpace(5, 12, True)) for node in (2, 3)]
        short = ShortOfSpace((ShortDisk(1, 5, 12),))
        self.assertEqual(sent, [*told, *((Address(1, role), short) for role in (CHECKER, GATEWAY))])
