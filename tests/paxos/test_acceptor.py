"""The acceptor: inject a message, see what it says and what is on disk by then."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, CATCHUP, ELECTOR, LEARNER, PROPOSER, Address, Fenced
from dkv.ballot import Ballot
from dkv.configurations import first_configurations
from dkv.events import Applied, AppliedElsewhere, Learn, Learned, Missing, PeerUp, Progress, PromiseRaised
from dkv.identity import Acquaintance, Identity, pack_acquaintance
from dkv.keys import CHOSEN_THROUGH, PROMISE, VOTE_COUNT, member_key, pack_ballot, pack_number, record_key
from dkv.messages import (
    Accept,
    Accepted,
    ChosenMark,
    ChosenOtherwise,
    Confirm,
    Confirmed,
    Nack,
    Prepare,
    Promise,
)
from dkv.paxos import acceptor as acceptor_module
from dkv.paxos.acceptor import Acceptor
from dkv.records import Batch, SlotRecord, Value, pack_record, unpack_record
from dkv.settings import Limits
from dkv.state_messages import ChosenSlots, ReadChosen
from tests.turns import FakeTurn, inject

MEMBERS = first_configurations((1, 2, 3))
B1, B2, B3, B4 = Ballot(1, 1), Ballot(2, 2), Ballot(3, 3), Ballot(4, 1)
ALL_SEEN = {member_key(node): pack_number(0xB0 + node) for node in (1, 2, 3)}


def value(text: str) -> Value:
    """A value of one batch."""
    return Value((Batch(2, 0xB2, 1, 1, text.encode()),))


def identity(node: int) -> Identity:
    """A life of a node."""
    return Identity("blue", node, 0xB0 + node, 3)


def proposer(node: int) -> Address:
    """Where a node's proposer is."""
    return Address(node, PROPOSER)


class OneAcceptor(SynchronousTestCase):
    """Acceptor 1 of three, which has met all members."""

    stored: Mapping[bytes, bytes] = ALL_SEEN
    limits = Limits()

    def setUp(self) -> None:
        self.begin(self.stored)

    def begin(self, stored: Mapping[bytes, bytes]) -> list[tuple[Address, Any]]:
        """A life on what is stored; what it says first."""
        self.turn = FakeTurn(stored=dict(stored))
        self.acceptor = Acceptor(identity(1), MEMBERS, self.limits)
        self.acceptor.start(self.turn)
        return self.turn.take()

    def give(self, sender: Address, message: Any) -> list[Any]:
        """Inject; the messages that go back to the sender."""
        self.turn.take()
        return [sent for to, sent in inject(self.acceptor, self.turn, sender, message) if to == sender]

    def accept(self, ballot: Ballot, slot: int, what: Value, mark: int = 0) -> list[Any]:
        """An Accept of the ballot's own proposer."""
        return self.give(proposer(ballot.node), Accept(ballot, slot, what, mark))

    def record(self, slot: int) -> SlotRecord | None:
        """What is stored for a slot."""
        data = self.turn.stored.get(record_key(slot))
        return None if data is None else unpack_record(data)

    def told(self, role: str) -> list[Any]:
        """What an actor of this node was told in the last turn."""
        return [sent for to, sent in self.turn.sent + self.turn.early if to == Address(1, role)]


class ClockTests(OneAcceptor):
    """What time it is, for the next lead."""

    ballot = Ballot(5, 2)

    def clock(self) -> int:
        """What the next Promise says."""
        self.ballot = Ballot(self.ballot.round + 1, 2)
        (promise,) = self.give(proposer(2), Prepare(self.ballot, 1))
        return int(promise.clock)

    def test_follows_what_it_accepts(self) -> None:
        """By the time of the Accept: the stamp of a value that is sent again is old. A restart remembers it."""
        self.assertEqual(self.clock(), self.turn.wall_ms)
        self.give(proposer(2), Accept(self.ballot, 1, Value((), 7_000), 0, 9_000))
        self.assertEqual(self.clock(), 9_000)
        self.begin(self.turn.stored)
        self.assertEqual(self.clock(), 9_000)

    def test_not_what_it_refuses(self) -> None:
        """A leader that was overtaken, or one that proposes what is settled otherwise, decides no deadline."""
        self.accept(self.ballot, 1, value("a"), mark=1)
        held = self.clock()
        self.give(proposer(1), Accept(Ballot(1, 1), 2, Value((), 7_000), 0, 9_000))
        self.give(proposer(2), Accept(self.ballot, 1, Value((), 7_000), 0, 9_000))
        self.assertEqual(self.clock(), held)


class PromiseTests(OneAcceptor):
    def test_b1_a_promise_is_persisted_in_the_turn_that_sends_it(self) -> None:
        """A promise that a crash undoes lets two leaders choose two values."""
        (promise,) = self.give(proposer(2), Prepare(B2, 1))
        self.assertEqual(promise.ballot, B2)
        self.assertEqual(self.turn.persisted, {PROMISE: pack_ballot(*B2), VOTE_COUNT: pack_number(1)})
        self.assertNotIn(promise, [sent for _, sent in self.turn.early], "it waits for the disk")

    def test_lower_is_refused(self) -> None:
        """An acceptor that goes back on its promise breaks every quorum it was part of."""
        self.give(proposer(3), Prepare(B3, 1))
        self.assertEqual(self.give(proposer(2), Prepare(B2, 1)), [Nack(B2, B3)])
        self.assertEqual(self.accept(B2, 1, value("a")), [Nack(B2, B3)])
        self.assertEqual(self.turn.persisted, {})
        self.assertIsNone(self.record(1))

    def test_repeated(self) -> None:
        """A Prepare whose answer was lost is answered again, and costs no commit."""
        self.give(proposer(2), Prepare(B2, 1))
        (promise,) = self.give(proposer(2), Prepare(B2, 1))
        self.assertEqual((promise.ballot, self.turn.persisted), (B2, {}))

    def test_tells_its_own_node(self) -> None:
        """The node's own proposer must stop when another ballot is promised, and its elector must hold back."""
        self.give(proposer(2), Prepare(B2, 1))
        self.assertEqual(self.told(PROPOSER), [PromiseRaised(B2)])
        self.assertEqual(self.told(ELECTOR), [PromiseRaised(B2)])
        self.give(proposer(1), Prepare(B4, 1))
        self.assertEqual(self.told(ELECTOR), [])

    def test_the_elector_hears_how_far_it_is(self) -> None:
        """It takes part in no election before it hears this once, and judges candidates by it, roughly, ever after."""
        self.assertIn((Address(1, ELECTOR), Progress(0, 0)), self.begin(self.stored))
        self.patch(acceptor_module, "PROGRESS_SLOTS", 3)
        heard = []
        for slot in range(1, 7):
            self.accept(B1, slot, value(f"v{slot}"))
            self.give(proposer(1), ChosenMark(B1, slot))
            heard.append(self.told(ELECTOR))
        self.assertEqual(heard, [[], [], [Progress(3, 0)], [], [], [Progress(6, 0)]])

    def test_b8_state_is_read_back(self) -> None:
        """A restarted acceptor that has forgotten its promise or its votes overrules what was chosen."""
        self.accept(B2, 3, value("c"))
        self.give(proposer(3), Prepare(B3, 1))
        said = self.begin(self.turn.stored)
        self.assertIn((proposer(1), PromiseRaised(B3)), said)
        self.assertEqual(self.accept(B2, 4, value("d")), [Nack(B2, B3)])
        (promise,) = self.give(proposer(1), Prepare(B4, 1))
        self.assertEqual(promise.records, ((3, SlotRecord(B2, value("c"))),))

    def test_b24_a_promise_is_for_every_slot(self) -> None:
        """A later Prepare from a higher slot on does not free the slots below it from the promise."""
        self.give(proposer(2), Prepare(B2, 1))
        self.give(proposer(3), Prepare(B3, 100))
        self.assertEqual(self.accept(B2, 5, value("old")), [Nack(B2, B3)])

    def test_reports_everything_accepted(self) -> None:
        """What a Promise leaves out may have been chosen (I4)."""
        for slot in (1, 2, 4, 7):
            self.accept(B1, slot, value(f"v{slot}"))
        (promise,) = self.give(proposer(2), Prepare(B2, 1))
        self.assertEqual([slot for slot, _ in promise.records], [1, 2, 4, 7])
        (promise,) = self.give(proposer(3), Prepare(B3, 4))
        self.assertEqual([slot for slot, _ in promise.records], [4, 7])

    def test_b13_what_is_chosen_is_not_reported_as_nothing(self) -> None:
        """A proposer that takes the chosen prefix for empty slots would fill them anew."""
        for slot in (1, 2, 3):
            self.accept(B1, slot, value(f"v{slot}"), mark=slot - 1)
        (promise,) = self.give(proposer(2), Prepare(B2, 1))
        self.assertEqual((promise.chosen_through, [slot for slot, _ in promise.records]), (2, [3]))

    def test_b6_accepted_and_promised_ballots_are_two(self) -> None:
        """A record reported under the promised ballot would win over the chosen value."""
        self.accept(B1, 1, value("a"))
        self.give(proposer(3), Prepare(B3, 1))
        (promise,) = self.give(proposer(1), Prepare(B4, 1))
        self.assertEqual(promise.records, ((1, SlotRecord(B1, value("a"))),))


class ChunkTests(OneAcceptor):
    limits = Limits(catchup_bytes_max=100)

    def test_a_long_report(self) -> None:
        """A report larger than a frame must come in parts, and none may be missing or from another report."""
        for slot in range(1, 6):
            self.accept(B1, slot, value("x" * 40))
        first = self.give(proposer(2), Prepare(B2, 1))
        self.assertGreater(len(first), 1)
        self.assertEqual([promise.chunk for promise in first], list(range(len(first))))
        self.assertEqual({promise.chunks for promise in first}, {len(first)})
        self.assertEqual([slot for promise in first for slot, _ in promise.records], [1, 2, 3, 4, 5])
        second = self.give(proposer(2), Prepare(B2, 1))
        self.assertEqual(len({promise.report for promise in first}), 1)
        self.assertNotEqual(first[0].report, second[0].report)


class AcceptTests(OneAcceptor):
    def test_b1_b2_a_vote_is_persisted_in_the_turn_that_sends_it(self) -> None:
        """A vote that a crash undoes: the client was told OK, and the write is gone."""
        self.assertEqual(self.accept(B2, 1, value("a")), [Accepted(B2, 1)])
        self.assertEqual(self.turn.persisted[record_key(1)], pack_record(SlotRecord(B2, value("a"))))
        self.assertNotIn(Accepted(B2, 1), [sent for _, sent in self.turn.early])

    def test_b23_the_own_proposer_waits_too(self) -> None:
        """A leader that counts its own disk before the disk has it acknowledges what a crash loses."""
        self.assertEqual(self.accept(B1, 1, value("a")), [Accepted(B1, 1)])
        self.assertIn((proposer(1), Accepted(B1, 1)), self.turn.sent)
        self.assertEqual([to.role for to, sent in self.turn.early if isinstance(sent, Accepted | Promise)], [])

    def test_b5_accepting_raises_the_promise(self) -> None:
        """Whoever accepts in a ballot must refuse lower ones, also where it never saw the Prepare."""
        self.accept(B2, 1, value("a"))
        self.assertEqual(self.turn.persisted[PROMISE], pack_ballot(*B2))
        self.assertEqual(self.give(proposer(1), Prepare(B1, 1)), [Nack(B1, B2)])
        self.assertEqual(self.accept(B1, 2, value("b")), [Nack(B1, B2)])

    def test_b9_a_late_accept_does_not_replace_a_newer_one(self) -> None:
        """An older vote written after a newer one brings back what was overruled."""
        self.accept(B2, 1, value("new"))
        self.accept(B1, 1, value("old"))
        self.assertEqual(self.record(1), SlotRecord(B2, value("new")))

    def test_a_higher_ballot_replaces(self) -> None:
        """What a newer leader proposes for an open slot stands."""
        self.accept(B1, 1, value("old"))
        self.assertEqual(self.accept(B2, 1, value("new")), [Accepted(B2, 1)])
        self.assertEqual(self.record(1), SlotRecord(B2, value("new")))

    def test_repeated(self) -> None:
        """A lost Accepted is said again, and costs no second write."""
        self.accept(B2, 1, value("a"))
        self.assertEqual(self.accept(B2, 1, value("a")), [Accepted(B2, 1)])
        self.assertNotIn(record_key(1), self.turn.persisted)

    def test_b7_no_other_value_where_one_is_chosen(self) -> None:
        """An acceptor that votes for any value at a chosen slot lets acknowledged writes be replaced."""
        self.accept(B1, 1, value("a"))
        self.accept(B1, 2, value("b"), mark=1)
        self.assertEqual(self.accept(B2, 1, value("other")), [ChosenOtherwise(B2, 1)])
        self.assertEqual(self.accept(B2, 1, value("a")), [Accepted(B2, 1)])
        self.assertEqual(self.record(1), SlotRecord(B1, value("a")))


class MarkTests(OneAcceptor):
    def slots_learned(self) -> list[int]:
        """The slots that the learner was told of in the last turn."""
        told = [sent for sent in self.told(LEARNER) if isinstance(sent, ChosenSlots)]
        return [slot for sent in told for slot in range(sent.first_slot, sent.first_slot + len(sent.values))]

    def test_the_learner_hears_without_waiting_for_the_disk(self) -> None:
        """That a slot is chosen rests on other disks: a slow one must not delay replies."""
        self.accept(B2, 1, value("a"))
        self.give(proposer(2), ChosenMark(B2, 1))
        self.assertEqual(self.turn.early, [(Address(1, LEARNER), ChosenSlots(1, (value("a"),), 1))])

    def test_b14_b25_a_mark_covers_only_its_own_ballot(self) -> None:
        """A node that takes its own older value for the chosen one serves what was never written."""
        self.accept(B1, 1, value("mine"))
        self.give(proposer(2), ChosenMark(B2, 1))
        self.assertEqual(self.slots_learned(), [])
        self.assertEqual(self.told(CATCHUP), [Missing(1, 1, 2)])
        self.accept(B2, 1, value("theirs"))
        self.assertEqual(self.slots_learned(), [1])

    def test_a_gap_is_reported_until_it_is_closed(self) -> None:
        """A lost Accept must be fetched, and catch-up must hear when there is nothing left to fetch."""
        self.accept(B2, 2, value("b"), mark=1)
        self.assertEqual(self.told(CATCHUP), [Missing(1, 1, 2)])
        self.give(Address(1, CATCHUP), Learn(1, (value("a"),)))
        self.assertIn(Missing(2, 1, 1), self.told(CATCHUP))
        self.give(proposer(2), ChosenMark(B2, 2))
        self.assertEqual(self.told(CATCHUP), [])

    def test_an_old_leader_hears_that_it_is_one(self) -> None:
        """A leader that has nothing to propose must find out too."""
        self.give(proposer(3), Prepare(B3, 1))
        self.assertEqual(self.give(proposer(2), ChosenMark(B2, 5)), [Nack(B2, B3)])

    def test_the_mark_is_saved_with_the_next_vote(self) -> None:
        """After a restart the node knows what was chosen, without a commit of its own for every mark."""
        self.accept(B2, 1, value("a"))
        self.give(proposer(2), ChosenMark(B2, 1))
        self.assertEqual(self.turn.persisted, {})
        self.accept(B2, 2, value("b"), mark=1)
        self.assertEqual(self.turn.persisted[CHOSEN_THROUGH], pack_number(1))

    def test_b11_what_was_applied_was_chosen(self) -> None:
        """A start that finds the state ahead of the mark must neither apply twice nor leave a gap."""
        for slot in (1, 2, 3):
            self.accept(B2, slot, value(f"v{slot}"))
        self.begin(self.turn.stored)
        self.give(Address(1, LEARNER), Applied(2))
        (answer,) = self.give(Address(1, LEARNER), ReadChosen(1))
        self.assertEqual((answer.values, answer.chosen_through), ((value("v1"), value("v2")), 2))


class LearnTests(OneAcceptor):
    def test_b26_a_fetched_value_is_stored_as_chosen(self) -> None:
        """Stored as merely accepted in a low ballot, a chosen value loses to an older one at the next phase 1."""
        self.accept(B2, 1, value("mine"))
        learned = self.give(Address(1, CATCHUP), Learn(1, (value("theirs"),)))
        self.assertEqual(learned, [Learned(1)])
        self.assertEqual(self.record(1), SlotRecord(B2, value("theirs"), chosen=True))
        self.assertIn((Address(1, CATCHUP), Learned(1)), self.turn.sent, "it waits for the disk")

    def test_a_fetched_value_beyond_a_gap_is_reported_as_chosen(self) -> None:
        """A Promise must say what is known to be chosen: it beats any ballot."""
        self.give(Address(1, CATCHUP), Learn(2, (value("b"),)))
        (promise,) = self.give(proposer(2), Prepare(B2, 1))
        self.assertEqual(promise.records, ((2, SlotRecord(Ballot(0, 0), value("b"), chosen=True)),))

    def test_a_second_value_is_refused(self) -> None:
        """A chosen value never changes, whatever a peer says (I8)."""
        self.give(Address(1, CATCHUP), Learn(1, (value("a"),)))
        with self.assertRaisesRegex(Fenced, "another chosen value for slot 1"):
            self.give(Address(1, CATCHUP), Learn(1, (value("b"),)))
        self.assertEqual(self.record(1), SlotRecord(Ballot(0, 0), value("a"), chosen=True))
        self.assertIn("chosen_value_conflict", self.turn.noted())

    def test_a_peer_has_applied_more(self) -> None:
        """What it has applied is chosen: without a leader nothing else says that it can be fetched, and from whom."""
        self.give(Address(1, LEARNER), AppliedElsewhere(4, 3))
        self.assertEqual(self.told(CATCHUP), [Missing(1, 4, 3)])
        self.accept(B1, 1, value("a"))
        self.assertEqual(self.told(LEARNER), [], "what was accepted here may be another value")

    def test_serves_chosen_slots_only(self) -> None:
        """A peer that catches up must not be handed what may yet be overruled."""
        for slot in (1, 2, 3):
            self.accept(B2, slot, value(f"v{slot}"), mark=slot - 1)
        (answer,) = self.give(Address(3, CATCHUP), ReadChosen(2))
        self.assertEqual(answer, ChosenSlots(2, (value("v2"),), 2))


class ConfirmTests(OneAcceptor):
    def test_b10_b27_only_while_no_higher_ballot_is_promised(self) -> None:
        """A deposed leader that is still confirmed serves the past."""
        self.give(proposer(2), Prepare(B2, 1))
        self.assertEqual(self.give(proposer(2), Confirm(B2, 7)), [Confirmed(B2, 7)])
        self.give(proposer(3), Prepare(B3, 1))
        self.assertEqual(self.give(proposer(2), Confirm(B2, 8)), [Nack(B2, B3)])


class MemberTests(OneAcceptor):
    stored: Mapping[bytes, bytes] = MappingProxyType({})

    def test_b12_a_new_directory_does_not_vote(self) -> None:
        """A node that lost its disk may have promised anything: every member must have taken it in."""
        self.assertEqual(self.give(proposer(2), Prepare(B2, 1)), [])
        self.assertEqual(self.accept(B2, 1, value("a")), [])
        self.assertEqual(self.give(proposer(2), Confirm(B2, 1)), [])
        self.assertEqual((self.turn.persisted, self.turn.noted()), ({}, ["vote_withheld"]))

    def test_b12_votes_once_all_members_are_stored(self) -> None:
        """Only the very first start needs everybody, and a restart must not need them again."""
        self.give(Address(2, ACCEPTOR), PeerUp(2, 0xB2, 1))
        self.assertEqual(self.turn.persisted, {member_key(2): pack_acquaintance(Acquaintance(0xB2))})
        self.assertEqual(self.give(proposer(2), Prepare(B2, 1)), [])
        self.give(Address(3, ACCEPTOR), PeerUp(3, 0xB3, 1))
        self.assertEqual(self.told(ELECTOR), [Progress(0, 0)])
        self.assertEqual(len(self.give(proposer(2), Prepare(B2, 1))), 1)
        self.begin(self.turn.stored)
        self.assertEqual(len(self.give(proposer(3), Prepare(B3, 1))), 1)
