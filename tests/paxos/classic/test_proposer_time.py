"""The proposer in classic mode gives stamps, and proposes what is due though nobody writes, in turn with the others."""

from __future__ import annotations

from sys import maxsize
from typing import Any

from dkv.actor import LEARNER, Address
from dkv.ballot import Ballot
from dkv.events import Due, Origins, ReportOrigins
from dkv.messages import AcceptSlot, PrepareSlot, PromiseSlot
from dkv.paxos.classic.proposer import ClassicProposer
from dkv.records import STAMP_MAX, SlotRecord, Value
from dkv.settings import Limits, Timings
from tests.paxos.classic.test_proposer import R1, OneProposer, acceptor, batch
from tests.paxos.classic.test_proposer import value as without_stamp

HEARTBEAT = Timings().heartbeat_seconds


class StampTests(OneProposer):
    def promised(self, node: int, clock: int, record: SlotRecord | None = None) -> list[tuple[Address, Any]]:
        """A Promise from a node by which it is ``clock``."""
        return self.give(acceptor(node), PromiseSlot(R1, 1, record, 0, clock))

    def accepts(self, sent: list[tuple[Address, Any]]) -> set[AcceptSlot]:
        return {message for _, message in sent if isinstance(message, AcceptSlot)}

    def test_a_quorum_of_clocks(self) -> None:
        """The one of a wrong clock alone does nothing; what has passed since a Promise counts."""
        self.submit(1)
        self.origins(R1)
        self.promised(1, 5_000)
        self.turn.now += 1.0
        (accept,) = self.accepts(self.promised(2, 99_000))
        self.assertEqual(accept.value, Value((batch(1),), 6_000))
        self.assertEqual(accept.clock, 6_000)

    def test_never_below_the_state(self) -> None:
        """Nodes whose clocks were set back while all were down must not bring keys back to life."""
        self.submit(1)
        self.give(Address(1, LEARNER), Origins(R1, 999, (), 70_000))
        self.promised(1, 5_000)
        (accept,) = self.accepts(self.promised(2, 5_000))
        self.assertEqual(accept.value.time, 70_000)

    def test_no_clock_shows_so_much(self) -> None:
        """But anything may stand in the log, and a message carries no more."""
        self.submit(1)
        self.give(Address(1, LEARNER), Origins(R1, 999, (), STAMP_MAX))
        self.promised(1, STAMP_MAX)
        (accept,) = self.accepts(self.promised(2, STAMP_MAX))
        self.assertEqual((accept.value.time, accept.clock), (STAMP_MAX, STAMP_MAX))

    def test_a_recovered_slot_keeps_its_stamp(self) -> None:
        """It may be chosen with it."""
        record = SlotRecord(Ballot(1, 2), Value((batch(9, 2),), 300))
        self.submit(1)
        self.origins(R1)
        self.promised(1, 5_000)
        (accept,) = self.accepts(self.promised(2, 5_000, record))
        self.assertEqual((accept.value, accept.clock), (record.value, 5_000))
        self.assertEqual(without_stamp().time, 0)


class DueTests(OneProposer):
    """Each node in turn, so that usually one slot is proposed."""

    def due(self, at: int, through: int = 0, time: int = 0) -> list[tuple[Address, Any]]:
        return self.give(Address(1, LEARNER), Due(at, through, time))

    def test_a_deadline(self) -> None:
        """An empty slot with a stamp, a heartbeat after its time; the others wait longer."""
        self.due(2_500, 0, 500)
        self.assertAlmostEqual(self.turn.timers["due"] - self.turn.now, 2.0 + HEARTBEAT)
        self.assertEqual(self.fire("due"), [(Address(1, LEARNER), ReportOrigins(R1, 0))])
        self.origins(R1)
        self.give(acceptor(1), PromiseSlot(R1, 1, None, 0, 2_600))
        sent = self.give(acceptor(2), PromiseSlot(R1, 1, None, 0, 2_700))
        self.assertIn((acceptor(3), AcceptSlot(R1, 1, Value((), 2_600))), sent)

    def test_the_others_later(self) -> None:
        """All at once they would be in each other's way."""
        self.proposer = ClassicProposer(3, self.proposer._members.configurations, Limits(), Timings())
        self.due(1_000, 0, 0)
        self.assertAlmostEqual(self.turn.timers["due"] - self.turn.now, 1.0 + 3 * HEARTBEAT)

    def test_nothing_is_due(self) -> None:
        """A quiet cluster stays quiet, and one whose deadline was passed by a write gets no slot beside it."""
        self.due(maxsize)
        self.assertNotIn("due", self.turn.timers)
        self.due(1_000)
        self.due(maxsize, 1, 900)
        self.assertNotIn("due", self.turn.timers)

    def test_done_by_another(self) -> None:
        """The timer has fired, and another node's slot is applied before the learner answers: none is proposed."""
        self.due(1_000)
        self.fire("due")
        self.due(maxsize, 1, 1_000)
        self.assertEqual(self.origins(R1), [])

    def test_one_after_the_other(self) -> None:
        """Whoever got a slot goes on at once while something is left to be erased."""
        self.due(0)
        self.fire("due")
        self.origins(R1)
        for node in (1, 2):
            self.promise(node, R1, 1)
        for node in (1, 2):
            self.accepted(node, R1, 1)
        self.settled(1, 1, 1)
        self.due(0, 1, 50)
        self.assertEqual(self.turn.timers["due"], self.turn.now)

    def test_too_early(self) -> None:
        """The time has gone slower than this node's clock: what is left is waited for, without slot after slot."""
        self.due(1_000)
        self.fire("due")
        self.origins(R1)
        for node in (1, 2):
            self.promise(node, R1, 1)
        for node in (1, 2):
            self.accepted(node, R1, 1)
        self.assertEqual(self.settled(1, 1, 1), [(Address(1, LEARNER), ReportOrigins(R1, 1))])
        self.assertEqual(self.give(Address(1, LEARNER), Origins(R1, 1, (), 600)), [])
        self.assertAlmostEqual(self.turn.timers["due"] - self.turn.now, 0.4 + HEARTBEAT)
        self.assertEqual(self.fire("due"), [(Address(1, LEARNER), ReportOrigins(R1, 1))])
        self.assertEqual(self.give(Address(1, LEARNER), Origins(R1, 1, (), 600)), [(acceptor(1), PrepareSlot(R1, 2))])
