"""The learner has the state captured after the very slot that was asked for."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, CHECKER, ELECTOR, PROPOSER, SURVEYOR, Address
from dkv.configurations import first_configurations
from dkv.events import AppliedThrough, CaptureMissed, CaptureNow, CaptureState, ReportApplied
from dkv.identity import Identity
from dkv.keys import APPLIED_THROUGH, DIGEST, unpack_number
from dkv.kv.codes import PUT
from dkv.kv.machine import Machine
from dkv.paxos.learner import Learner
from dkv.records import Batch, Value
from dkv.settings import Limits, Timings
from dkv.state_messages import ChosenSlots
from dkv.wire.codec import decode_entries, encode_entries
from tests.turns import FakeTurn, inject

FIRST = first_configurations((1, 2, 3))


class CaptureTests(SynchronousTestCase):
    """Slot n sets the key to n."""

    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.learner = Learner(Identity("blue", 1, 0xB1, 3), Limits(), Timings(), Machine(decode_entries, FIRST))
        self.learner.start(self.turn)
        self.captured: list[tuple[str, int, bytes, bytes]] = []
        states: Any = self.turn.states
        capture = states.capture

        def remember(role: str) -> bool:
            mark, value = unpack_number(self.turn.load(APPLIED_THROUGH)), self.turn.load(b"S\0k") or b""
            self.captured.append((role, mark, value[-1:], self.turn.load(DIGEST) or b""))
            return bool(capture(role))

        self.patch(states, "capture", remember)

    def give(self, role: str, message: Any) -> list[Any]:
        """Inject; what is sent to the actor that asks."""
        return [sent for to, sent in inject(self.learner, self.turn, Address(1, role), message) if to.role == role]

    def apply(self, first: int, last: int) -> None:
        """Slots are chosen."""
        values = tuple(
            Value((Batch(2, 0xB2, 1, slot, encode_entries([[PUT, b"k", b"%d" % slot]])),))
            for slot in range(first, last + 1)
        )
        inject(self.learner, self.turn, Address(1, ACCEPTOR), ChosenSlots(first, values, last))

    def test_now(self) -> None:
        """Whoever wants the newest state gets it, and hears at once if it cannot be had."""
        self.apply(1, 3)
        self.assertEqual(self.give(SURVEYOR, CaptureNow()), [])
        self.assertEqual([each[:3] for each in self.captured], [(SURVEYOR, 3, b"3")])
        self.turn.states.full = True
        self.assertEqual(self.give(SURVEYOR, CaptureNow()), [CaptureMissed(3)])

    def test_in_the_middle_of_many(self) -> None:
        """What was applied by then has its mark and its digest; later slots of the same message are not in it."""
        self.give(CHECKER, CaptureState(4))
        self.apply(1, 6)
        self.assertEqual([each[:3] for each in self.captured], [(CHECKER, 4, b"4")])
        self.assertNotEqual(self.captured[0][3], self.turn.load(DIGEST))
        self.apply(7, 9)
        self.assertEqual(len(self.captured), 1)

    def test_at_once(self) -> None:
        """The slot is the last one."""
        self.apply(1, 3)
        self.assertEqual(self.give(CHECKER, CaptureState(3)), [])
        self.assertEqual([each[:3] for each in self.captured], [(CHECKER, 3, b"3")])

    def test_passed(self) -> None:
        """The state after an earlier slot cannot be had any more."""
        self.apply(1, 3)
        self.assertEqual(self.give(CHECKER, CaptureState(2)), [CaptureMissed(2)])
        self.assertEqual(self.captured, [])

    def test_no_room(self) -> None:
        """The disk is behind: the check goes on without this node, and the node without a stall."""
        self.apply(1, 3)
        self.turn.states.full = True
        self.assertEqual(self.give(CHECKER, CaptureState(3)), [CaptureMissed(3)])

    def test_another_slot(self) -> None:
        """A later wish of an actor takes the place of its earlier one; others have wishes of their own."""
        self.give(CHECKER, CaptureState(2))
        self.give(ELECTOR, CaptureState(3))
        self.give(CHECKER, CaptureState(4))
        self.apply(1, 6)
        self.assertEqual([each[:2] for each in self.captured], [(ELECTOR, 3), (CHECKER, 4)])

    def test_report(self) -> None:
        """How far it has come, for whoever names a slot."""
        self.apply(1, 3)
        self.assertEqual(self.give(CHECKER, ReportApplied()), [AppliedThrough(3)])

    def test_report_later(self) -> None:
        """A leader that waits until a slot is applied is told so once, and need not ask again."""
        self.apply(1, 3)
        self.assertEqual(self.give(PROPOSER, ReportApplied(5)), [])
        self.assertEqual(self.give(CHECKER, ReportApplied(3)), [AppliedThrough(3)])
        self.apply(4, 4)
        self.turn.take()
        self.apply(5, 6)
        told = (Address(1, PROPOSER), AppliedThrough(6))
        self.assertIn(told, self.turn.take())
        self.apply(7, 7)
        self.assertEqual([to for to, _ in self.turn.take() if to.role == PROPOSER], [])
