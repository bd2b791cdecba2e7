"""The acceptor in classic mode and compacted slots: they are settled, whatever anybody asks about them."""

from __future__ import annotations

from typing import Any

from dkv.actor import CATCHUP, LEARNER, Address
from dkv.events import Compacted, Learn, Learned, TimerFired
from dkv.keys import COMPACTED, RECORD, pack_compacted, slot_of
from dkv.messages import AcceptSlot, PrepareSlot, SlotChosen, SlotSettled
from dkv.records import NO_DIGEST
from dkv.state_messages import ChosenSlots, CompactedThrough, ReadChosen
from tests.paxos.classic.test_acceptor import B2, B3, B4, OneAcceptor
from tests.paxos.test_acceptor import proposer, value


class CompactionTests(OneAcceptor):
    """Slots 1 to 5 are chosen, and 1 to 3 compacted."""

    def setUp(self) -> None:
        super().setUp()
        for slot in range(1, 6):
            self.prepare(B2, slot)
            self.accept(B2, slot, value(f"v{slot}"))
            self.chosen(B2, slot)
        self.turn.persist(COMPACTED, pack_compacted(3, NO_DIGEST))
        self.give(Address(1, LEARNER), Compacted(3))

    def records(self) -> list[int]:
        """The slots that have a record on disk."""
        return sorted(slot_of(key) for key in self.turn.stored if key[:1] == RECORD)

    def test_erased(self) -> None:
        """Disk space comes back in classic mode too."""
        self.assertEqual(self.records(), [4, 5])

    def test_b13_settled_and_not_empty(self) -> None:
        """A proposer that is told "nothing accepted" fills a chosen slot with its own value."""
        questions: tuple[Any, ...] = (
            PrepareSlot(B3, 2),
            AcceptSlot(B3, 2, value("other")),
            AcceptSlot(B2, 2, value("v2")),
        )
        for restarts in (False, True):
            if restarts:
                self.begin(self.turn.stored)
            for question in questions:
                self.assertEqual(self.give(proposer(3), question), [SlotSettled(2, 5)])
                self.assertEqual(self.turn.persisted, {})
        self.assertEqual(self.records(), [4, 5])

    def test_a_late_word_that_a_slot_is_chosen(self) -> None:
        """It may come with a value that cannot be compared any more: no reason to fence the directory."""
        self.assertEqual(self.give(proposer(3), SlotChosen(B2, 2)), [])
        self.accept(B4, 2, value("late"))
        self.assertEqual(self.give(proposer(2), SlotChosen(B4, 2)), [])
        self.assertEqual(self.records(), [4, 5])

    def test_a_peer_that_is_behind(self) -> None:
        """It hears that the slots are gone here, and fetches those that are not."""
        self.assertEqual(self.give(Address(3, CATCHUP), ReadChosen(3)), [CompactedThrough(3)])
        self.assertEqual(self.give(Address(3, CATCHUP), ReadChosen(4)), [ChosenSlots(4, (value("v4"), value("v5")), 5)])
        self.assertEqual(self.give(Address(1, CATCHUP), Learn(2, (value("v2"), value("v3")))), [Learned(5)])

    def test_a_state_that_came_from_a_peer_settles_the_own_slot(self) -> None:
        """The node's own proposer waits for the slot that it works on: it must hear that it is settled."""
        self.give(proposer(1), PrepareSlot(B4, 6))
        self.give(Address(1, LEARNER), Compacted(9))
        self.assertEqual(self.told("proposer"), [SlotSettled(6, 9)])
        self.assertEqual(self.give(proposer(2), PrepareSlot(B4, 9)), [SlotSettled(9, 9)])

    def test_erasing_goes_on_beside_the_other_timers(self) -> None:
        """Two timers of one actor must not be taken for each other."""
        self.give(Address(1, "acceptor"), TimerFired("erase"))
        self.assertIn("tell", self.turn.timers)
        self.assertEqual(self.turn.sent + self.turn.early, [])
