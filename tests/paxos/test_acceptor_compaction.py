"""The acceptor and compacted slots: what it says of slots whose records it has erased, and how it erases them."""

from __future__ import annotations

from typing import Any

from dkv.actor import CATCHUP, ELECTOR, LEARNER, PROPOSER, Address
from dkv.events import Applied, Compacted, Learn, Learned, Progress, TimerFired
from dkv.keys import CHOSEN_THROUGH, COMPACTED, PROMISE, RECORD, pack_ballot, pack_compacted, pack_number, slot_of
from dkv.messages import Accept, Accepted, ChosenMark, GiveWay, Nack, Prepare
from dkv.paxos.acceptor import ERASE_SECONDS
from dkv.records import NO_DIGEST
from dkv.settings import Limits
from dkv.state_messages import ChosenSlots, CompactedThrough, ReadChosen
from tests.paxos.test_acceptor import B1, B2, B3, B4, OneAcceptor, proposer, value

LEARN = Address(1, LEARNER)


class OneCompacted(OneAcceptor):
    """It has accepted slots 1 to 8, of which 6 are chosen and 5 compacted."""

    limits = Limits(erasures_max=2)

    def setUp(self) -> None:
        super().setUp()
        for slot in range(1, 9):
            self.accept(B1, slot, value(f"v{slot}"))
        self.give(proposer(1), ChosenMark(B1, 6))
        self.compact(5)

    def compact(self, through: int) -> None:
        """The learner says so, and has persisted it before."""
        self.turn.persist(COMPACTED, pack_compacted(through, NO_DIGEST))
        self.give(LEARN, Compacted(through))

    def records(self) -> list[int]:
        """The slots that have a record on disk."""
        return sorted(slot_of(key) for key in self.turn.stored if key[:1] == RECORD)

    def erase(self) -> None:
        """The timer fires, until nothing is left to erase."""
        while "erase" in self.turn.timers:
            del self.turn.timers["erase"]
            self.give(Address(1, "acceptor"), TimerFired("erase"))


class ErasureTests(OneCompacted):
    def test_some_at_a_time(self) -> None:
        """Erasing must not keep the node from its work; and it must not stop before the end."""
        self.assertEqual(self.records(), [3, 4, 5, 6, 7, 8])
        self.assertEqual(self.turn.timers["erase"], self.turn.now + ERASE_SECONDS)
        self.erase()
        self.assertEqual(self.records(), [6, 7, 8])
        self.assertEqual((self.turn.persisted, self.turn.sent), ({}, []))

    def test_after_a_crash(self) -> None:
        """A start finds what the last life did not erase, and knows at once what it must not speak of."""
        said = self.begin(self.turn.stored)
        self.assertIn((Address(1, ELECTOR), Progress(6, 5)), said)
        self.erase()
        self.assertEqual(self.records(), [6, 7, 8])
        self.assertEqual(self.give(Address(3, CATCHUP), ReadChosen(6)), [ChosenSlots(6, (value("v6"),), 6)])

    def test_b11_the_mark_of_chosen_slots_may_be_older(self) -> None:
        """That mark is written now and then. A node that believes it would look for records that are erased."""
        self.erase()
        self.begin({**self.turn.stored, CHOSEN_THROUGH: pack_number(2)})
        (promise,) = self.give(proposer(2), Prepare(B2, 1))
        self.assertEqual((promise.chosen_through, [slot for slot, _ in promise.records]), (5, [6, 7, 8]))
        self.give(LEARN, Applied(6))
        self.assertEqual(self.give(LEARN, ReadChosen(6)), [ChosenSlots(6, (value("v6"),), 6)])

    def test_an_older_mark(self) -> None:
        """Marks only grow."""
        self.compact(3)
        self.assertEqual(self.give(Address(3, CATCHUP), ReadChosen(4)), [CompactedThrough(5)])

    def test_b13_a_state_that_came_from_a_peer(self) -> None:
        """The peer applied slots that are open or missing here: they are settled, and nothing of them is left."""
        self.compact(7)
        (promise,) = self.give(proposer(2), Prepare(B2, 1))
        self.assertEqual(
            (promise.chosen_through, promise.compacted_through, [slot for slot, _ in promise.records]), (7, 7, [8])
        )
        self.compact(20)
        self.erase()
        self.assertEqual(self.records(), [])
        (promise,) = self.give(proposer(3), Prepare(B3, 1))
        self.assertEqual((promise.chosen_through, promise.compacted_through, promise.records), (20, 20, ()))
        self.assertEqual(self.accept(B3, 21, value("next"), mark=20), [Accepted(B3, 21)])
        self.give(proposer(3), ChosenMark(B3, 21))
        self.assertEqual(self.told(LEARNER), [ChosenSlots(21, (value("next"),), 21)])


class AnswerTests(OneCompacted):
    def test_b13_a_promise_reports_it(self) -> None:
        """A candidate that hears of nothing below would fill chosen slots anew."""
        (promise,) = self.give(proposer(2), Prepare(B2, 1))
        self.assertEqual((promise.chosen_through, promise.compacted_through), (6, 5))
        self.assertEqual([slot for slot, _ in promise.records], [7, 8])

    def test_the_elector_hears_of_it(self) -> None:
        """A voter that does not know would help a candidate that nobody can bring up to date."""
        self.compact(6)
        self.assertEqual(self.told(ELECTOR), [Progress(6, 6)])

    def test_b13_a_peer_that_is_behind(self) -> None:
        """It must hear that the slots are gone here: silence, or an empty answer, would let it ask for ever."""
        for slot in (0, 1, 5):
            self.assertEqual(self.give(Address(3, CATCHUP), ReadChosen(slot)), [CompactedThrough(5)])
        self.assertEqual(self.give(Address(3, CATCHUP), ReadChosen(6)), [ChosenSlots(6, (value("v6"),), 6)])
        self.assertEqual(self.give(Address(3, CATCHUP), ReadChosen(7)), [ChosenSlots(7, (), 6)])

    def test_b7_no_vote_for_an_erased_slot(self) -> None:
        """To accept any value there would let a second one be chosen; to call it another one may be a lie."""
        for ballot in (B1, B2):
            for what in ("v5", "other"):
                sent: Any = self.accept(ballot, 5, value(what))
                self.assertEqual([type(each) for each in sent if not isinstance(each, GiveWay)], [])
                self.assertEqual(self.turn.persisted, {})
        self.assertEqual(self.records(), [3, 4, 5, 6, 7, 8])

    def test_a_healthy_leader_is_left_alone(self) -> None:
        """An Accept of it that was late, or came twice, is for a slot that it has counted: no answer may stop it."""
        self.assertEqual(self.accept(B1, 5, value("v5")), [])
        self.assertEqual(self.accept(B1, 1, value("v1")), [])

    def test_a_leader_that_is_behind_gives_way(self) -> None:
        """It finishes slots that are applied and erased here. Without this vote it may wait for ever."""
        self.assertEqual(self.accept(B2, 4, value("v4"), mark=3), [GiveWay(B2, 5)])
        self.assertEqual(self.accept(B2, 6, value("v6"), mark=3), [Accepted(B2, 6)])

    def test_an_overtaken_leader_hears_that(self) -> None:
        """The promise comes first, for every slot (I1)."""
        self.give(proposer(3), Prepare(B3, 1))
        self.assertEqual(self.accept(B2, 4, value("v4")), [Nack(B2, B3)])
        self.assertEqual(self.turn.stored[PROMISE], pack_ballot(*B3))

    def test_a_node_that_may_not_vote(self) -> None:
        """A new directory says nothing about slots, erased ones included (B12)."""
        self.begin({COMPACTED: pack_compacted(5, NO_DIGEST)})
        self.assertEqual(self.give(proposer(2), Accept(B4, 4, value("v4"), 3)), [])

    def test_fetched_values_that_are_late(self) -> None:
        """An answer of a peer may come after the slots were compacted: that is no conflict, and no reason to end."""
        for what in ("v4", "cannot be compared any more"):
            sent = self.give(Address(1, CATCHUP), Learn(4, (value(what), value("v5"), value("v6"))))
            self.assertEqual(sent, [Learned(6)])
        self.assertEqual(self.records(), [3, 4, 5, 6, 7, 8])

    def test_old_marks(self) -> None:
        """A mark from before the compaction moves nothing, and asks for nothing."""
        self.give(proposer(1), ChosenMark(B1, 2))
        self.assertEqual((self.told(CATCHUP), self.told(LEARNER), self.told(PROPOSER)), ([], [], []))
