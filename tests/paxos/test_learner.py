"""The learner: chosen slots in order into the state machine, and reads once it is far enough."""

from __future__ import annotations

from dataclasses import replace
from sys import maxsize
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, ELECTOR, GATEWAY, LEARNER, PROPOSER, PUBSUB, Address, Turn
from dkv.ballot import Ballot
from dkv.client_events import BatchApplied, KeyEvents, Read, ReadResults, Replayed
from dkv.configurations import first_configurations
from dkv.events import Applied, Due, Origins, ReportOrigins
from dkv.identity import Identity
from dkv.keys import APPLIED_THROUGH, COMPACTED, DIGEST, pack_compacted, pack_number
from dkv.paxos.learner import EFFORT_PER_TURN, Learner
from dkv.records import NO_DIGEST, Batch, Entry, Value, digest_after
from dkv.replies import Result
from dkv.settings import Limits, Timings
from dkv.state_messages import ChosenSlots, ReadChosen
from tests.turns import FakeTurn, inject

ME = Identity("blue", 1, 0xB1, 3)
TIMINGS = Timings()


def value(*blobs: str, node: int = 2, boot: int = 1) -> Value:
    """Batches of a node, numbered by their places."""
    return Value(tuple(Batch(node, 0xB0 + node, boot, seq, blob.encode()) for seq, blob in enumerate(blobs, 1)))


def replayed(through: int) -> list[tuple[str, Any]]:
    """What others of the node hear when the log is replayed."""
    return [(role, Replayed(through)) for role in (GATEWAY, ELECTOR)]


class Recorder:
    """A state machine that remembers what it was given. A blob ``skip`` is not its origin's next."""

    def __init__(self) -> None:
        self.applied: list[bytes] = []
        self.own: list[bytes] = []
        self.executed = self.effort = 0
        self.configurations = first_configurations((1, 2, 3))
        self.begun: list[tuple[int, int]] = []
        self.time = 0
        self.due_at = maxsize
        self.events: list[KeyEvents] = []

    def start(self, turn: Turn) -> None:
        self.applied.append(b"started")

    def begin_slot(self, turn: Turn, slot: int, stamp: int) -> None:
        self.begun.append((slot, stamp))

    def due(self, turn: Turn) -> int:
        return self.due_at

    def apply(self, turn: Turn, batch: Batch, own: bool) -> list[Result] | None:
        turn.stage(b"S" + batch.blob, b"")
        self.applied.append(batch.blob)
        self.effort += EFFORT_PER_TURN * (batch.blob == b"hard")
        if batch.blob[:1] == b"k":
            self.events.append(KeyEvents(((0, b"set", batch.blob),), slot=len(self.begun)))
        if own:
            self.own.append(batch.blob)
        return None if batch.blob == b"skip" else [batch.blob]

    def take_events(self) -> list[KeyEvents]:
        taken, self.events = self.events, []
        return taken

    def read(self, turn: Turn, entries: list[Entry]) -> list[Result]:
        return [f"{entry} at {len(self.applied)}".encode() for entry in entries]

    def origins(self) -> tuple[tuple[int, int, int, int], ...]:
        return ((2, 0xB2, 1, len(self.applied)),)


class OneLearner(SynchronousTestCase):
    limits = Limits()

    def setUp(self) -> None:
        self.begin({})

    def begin(self, stored: dict[bytes, bytes]) -> list[tuple[Address, Any]]:
        """A life on what is stored; what it says first."""
        self.machine = Recorder()
        self.turn = FakeTurn(stored=stored)
        self.learner = Learner(ME, self.limits, TIMINGS, self.machine)
        self.learner.start(self.turn)
        return self.turn.take()

    def give(self, message: Any, role: str = ACCEPTOR) -> list[tuple[str, Any]]:
        """Inject; (role, message) of what it sends, all within its node."""
        self.turn.take()
        sent = inject(self.learner, self.turn, Address(1, role), message)
        self.assertEqual({to.node for to, _ in sent} - {1}, set())
        return [(to.role, message) for to, message in sent]


class ApplyTests(OneLearner):
    def test_in_order(self) -> None:
        """Slot n + 1 before n is another history."""
        self.give(ChosenSlots(1, (value("a"), value("b")), 2))
        self.assertEqual(self.machine.applied, [b"started", b"a", b"b"])

    def test_the_stamp_goes_with_its_slot(self) -> None:
        """The machine's time rests on the stamps alone. A slot without batches may have one, too."""
        self.give(ChosenSlots(1, (replace(value("a"), time=7), Value(), Value(time=9)), 3))
        self.assertEqual(self.machine.begun, [(1, 7), (2, 0), (3, 9)])

    def test_b14_never_over_a_gap(self) -> None:
        """A slot beyond a gap waits: what is missing is asked for, once."""
        self.assertEqual(self.begin({})[-1], (Address(1, ACCEPTOR), ReadChosen(1)))
        self.give(ChosenSlots(1, (), 0))
        self.assertEqual(self.give(ChosenSlots(2, (value("b"),), 2)), [(ACCEPTOR, ReadChosen(1))])
        self.assertEqual(self.give(ChosenSlots(3, (value("c"),), 3)), [])
        self.assertEqual(self.machine.applied, [b"started"])
        self.give(ChosenSlots(1, (value("a"), value("b"), value("c")), 3))
        self.assertEqual(self.machine.applied[1:], [b"a", b"b", b"c"])

    def test_what_takes_long_has_a_turn_of_its_own(self) -> None:
        """Ten transactions of a few bytes may take half a second together: the rest of the slots waits."""
        slots = tuple(map(value, ("a", "hard", "hard", "b", "hard")))
        self.assertEqual(self.give(ChosenSlots(1, slots, 5))[-1], (ACCEPTOR, ReadChosen(4)))
        self.assertEqual(self.machine.applied[1:], [b"a", b"hard", b"hard"])
        self.assertEqual(self.turn.staged[APPLIED_THROUGH], pack_number(3))
        self.give(ChosenSlots(4, slots[3:], 5))
        self.assertEqual(self.machine.applied[4:], [b"b", b"hard"])

    def test_repeats_apply_once(self) -> None:
        """Pushed and asked for, a slot comes twice."""
        self.give(ChosenSlots(1, (value("a"), value("b")), 2))
        self.give(ChosenSlots(2, (value("b"), value("c")), 3))
        self.assertEqual(self.machine.applied[1:], [b"a", b"b", b"c"])

    def test_b11_b29_the_mark_goes_with_the_data(self) -> None:
        """A crash between the two loses writes, or applies them twice: both are staged in one turn."""
        self.give(ChosenSlots(1, (value("a"), value("b")), 2))
        digest = digest_after(digest_after(NO_DIGEST, value("a")), value("b"))
        marks = {APPLIED_THROUGH: pack_number(2), DIGEST: digest}
        self.assertEqual(self.turn.staged, {b"Sa": b"", b"Sb": b"", **marks})
        self.assertEqual(self.turn.persisted, {})

    def test_b11_the_mark_covers_what_is_applied_only(self) -> None:
        """A mark that is ahead of the state, with what is known chosen, loses the slots between at the next start."""
        self.give(ChosenSlots(1, (value("a"),), 9))
        marks = {APPLIED_THROUGH: pack_number(1), DIGEST: digest_after(NO_DIGEST, value("a"))}
        self.assertEqual(self.turn.staged, {b"Sa": b"", **marks})
        self.give(ChosenSlots(3, (value("c"),), 9))
        self.assertEqual(self.turn.staged, {})

    def test_b11_begins_where_the_state_ends(self) -> None:
        """A start applies what the log holds beyond the state, and nothing that the state holds."""
        sent = self.begin({APPLIED_THROUGH: pack_number(5), DIGEST: b"five", COMPACTED: pack_compacted(5, b"five")})
        self.assertEqual(sent, [(Address(1, ACCEPTOR), Applied(5)), (Address(1, ACCEPTOR), ReadChosen(6))])
        self.give(ChosenSlots(4, (value("d"), value("e"), value("f")), 6))
        self.assertEqual(self.machine.applied, [b"started", b"f"])

    def test_serves_when_it_has_replayed(self) -> None:
        """A node that answers before it has replayed its log answers from the past."""
        self.assertEqual(self.give(ChosenSlots(1, (value("a"),), 2)), [(ACCEPTOR, ReadChosen(2))])
        self.assertEqual(self.give(ChosenSlots(2, (value("b"),), 2)), replayed(2))
        self.assertEqual(self.give(ChosenSlots(3, (value("c"),), 3)), [])

    def test_events_of_keys(self) -> None:
        """Subscribers hear of what happens while they are there: of each slot once, and never of an earlier life."""
        self.give(ChosenSlots(1, (value("k1"),), 2))
        self.assertEqual(self.give(ChosenSlots(2, (value("k2"),), 2)), replayed(2))

        def told(slot: int, key: bytes) -> tuple[str, Any]:
            return PUBSUB, KeyEvents(((0, b"set", key),), slot=slot)

        self.assertEqual(self.give(ChosenSlots(3, (value("k3"), value("c")), 4)), [told(3, b"k3")])
        again = self.give(ChosenSlots(3, (value("k3"), value("c"), value("k5", "k6")), 5))
        self.assertEqual(again, [(PUBSUB, each) for each in (told(5, b"k5")[1], told(5, b"k6")[1])])

    def test_b16_answers_its_own_batches_only(self) -> None:
        """Clients are told of their own writes: those of this node, this directory and this boot."""
        mine = Batch(1, 0xB1, 3, 4, b"mine")
        others = (Batch(2, 0xB1, 3, 4, b"x"), Batch(1, 0xC1, 3, 4, b"y"), Batch(1, 0xB1, 2, 4, b"z"))
        sent = self.give(ChosenSlots(1, (Value((*others, mine)),), 1))
        self.assertEqual(next(each for each in sent if each[0] == GATEWAY), (GATEWAY, BatchApplied(4, [b"mine"])))
        self.assertEqual(self.machine.own, [b"mine"])

    def test_b28_a_skipped_batch_is_not_answered(self) -> None:
        """What was skipped here was skipped everywhere: its gateway sends it again."""
        skipped = Batch(1, 0xB1, 3, 4, b"skip")
        self.assertEqual(self.give(ChosenSlots(1, (Value((skipped,)),), 1)), replayed(1))


class DueTests(OneLearner):
    """Without a slot no deadline passes, and who proposes is told when one is wanted."""

    def slot(self, number: int, due: int, time: int) -> list[Due]:
        """Slot ``number`` is applied, and this is due then; what the proposer hears."""
        self.machine.due_at, self.machine.time = due, time
        sent = inject(self.learner, self.turn, Address(1, ACCEPTOR), ChosenSlots(number, (value("a"),), number))
        return [message for to, message in sent if to == Address(1, PROPOSER)]

    def test_a_change(self) -> None:
        self.assertEqual(self.slot(1, maxsize, 10), [])
        self.assertEqual(self.slot(2, 100, 20), [Due(100, 2, 20)])
        self.assertEqual(self.slot(3, 100, 30), [])
        self.assertEqual(self.slot(4, maxsize, 40), [Due(maxsize, 4, 40)])

    def test_what_is_overdue(self) -> None:
        """More is to be erased than one slot may: it is told after each of them."""
        for number in (1, 2, 3):
            self.assertEqual(self.slot(number, 0, 10), [Due(0, number, 10)])

    def test_a_start(self) -> None:
        """A key that was set before it has its deadline after it, too."""
        self.machine.due_at, self.machine.time = 100, 20
        self.learner.start(self.turn)
        self.assertIn((Address(1, PROPOSER), Due(100, 0, 20)), self.turn.sent)

    def test_origins_know_the_time(self) -> None:
        """A new leader must not give a stamp below it."""
        self.machine.time = 77
        (sent,) = inject(self.learner, self.turn, Address(1, PROPOSER), ReportOrigins(Ballot(1, 1), 0))
        assert isinstance(sent[1], Origins)
        self.assertEqual(sent[1].time, 77)


class ReadTests(OneLearner):
    def test_waits_for_the_barrier(self) -> None:
        """A read served below its barrier shows the past (I11)."""
        self.assertEqual(self.give(Read(1, 2, [[4, b"k"]]), GATEWAY), [])
        sent = self.give(ChosenSlots(1, (value("a"),), 1))
        self.assertNotIn(ReadResults, [type(message) for _, message in sent])
        sent = self.give(ChosenSlots(2, (value("b"),), 2))
        self.assertIn((GATEWAY, ReadResults(1, [b"[4, b'k'] at 3"], 2)), sent)
        self.assertEqual(
            self.give(Read(2, 2, [[4, b"k"]]), GATEWAY), [(GATEWAY, ReadResults(2, [b"[4, b'k'] at 3"], 2))]
        )

    def test_reports_origins_once_it_is_far_enough(self) -> None:
        """A new leader that is told too early proposes batches which are in the log already."""
        self.assertEqual(self.give(ReportOrigins(Ballot(4, 1), 1), PROPOSER), [])
        sent = self.give(ChosenSlots(1, (value("a"),), 1))
        self.assertIn((PROPOSER, Origins(Ballot(4, 1), 1, ((2, 0xB2, 1, 2),))), sent)
        self.assertEqual(self.give(ChosenSlots(2, (value("b"),), 2)), [], "once")
        sent = self.give(ReportOrigins(Ballot(5, 1), 2), PROPOSER)
        self.assertEqual([type(message) for _, message in sent], [Origins])

    def test_knows_its_name(self) -> None:
        """What a learner answers goes to its own node."""
        self.assertEqual(self.give(Read(1, 0, []), LEARNER), [(GATEWAY, ReadResults(1, []))])
