"""The acceptor in classic mode: inject a message, see what it says and what is on disk by then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, CATCHUP, LEARNER, PROPOSER, Address, Fenced
from dkv.ballot import ZERO, Ballot
from dkv.configurations import Configuration, Configurations, MemberRecord
from dkv.events import Learn, MembersAre, Missing, PeerUp, PromiseRaised, TimerFired
from dkv.keys import (
    PROMISE,
    SLOT_BALLOT,
    VOTE_COUNT,
    member_key,
    pack_ballot,
    pack_number,
    record_key,
    slot_promise_key,
)
from dkv.messages import (
    Accept,
    AcceptedSlot,
    AcceptSlot,
    ChosenMark,
    ChosenThrough,
    Confirm,
    NackSlot,
    Prepare,
    PrepareSlot,
    PromiseSlot,
    SlotChosen,
    SlotSettled,
)
from dkv.paxos.acceptor import Acceptor
from dkv.paxos.classic.acceptor import OFFERS_MAX, ClassicAcceptor
from dkv.records import SlotRecord, Value, unpack_record
from dkv.settings import Limits, Timings
from dkv.state_messages import ChosenSlots
from tests.paxos.test_acceptor import ALL_SEEN, MEMBERS, identity, proposer, value
from tests.turns import FakeTurn, inject

B1, B2, B3, B4 = Ballot(1, 1), Ballot(1, 2), Ballot(1, 3), Ballot(2, 2)


class OneAcceptor(SynchronousTestCase):
    """Acceptor 1 of three, which has met all members."""

    def setUp(self) -> None:
        self.begin(ALL_SEEN)

    def begin(self, stored: Mapping[bytes, bytes]) -> list[tuple[Address, Any]]:
        """A life on what is stored; what it says first."""
        self.turn = FakeTurn(stored=dict(stored))
        self.acceptor = ClassicAcceptor(identity(1), MEMBERS, Limits(), Timings())
        self.acceptor.start(self.turn)
        return self.turn.take()

    def give(self, sender: Address, message: Any) -> list[Any]:
        """Inject; the messages that go back to the sender."""
        self.turn.take()
        return [sent for to, sent in inject(self.acceptor, self.turn, sender, message) if to == sender]

    def prepare(self, ballot: Ballot, slot: int) -> list[Any]:
        """A Prepare of the ballot's own proposer."""
        return self.give(proposer(ballot.node), PrepareSlot(ballot, slot))

    def accept(self, ballot: Ballot, slot: int, what: Value) -> list[Any]:
        """An Accept of the ballot's own proposer."""
        return self.give(proposer(ballot.node), AcceptSlot(ballot, slot, what))

    def chosen(self, ballot: Ballot, slot: int) -> list[Any]:
        """The word that a slot is chosen."""
        return self.give(proposer(ballot.node), SlotChosen(ballot, slot))

    def told(self, role: str) -> list[Any]:
        """What an actor of this node was told in the last turn."""
        return [sent for to, sent in self.turn.sent + self.turn.early if to == Address(1, role)]

    def record(self, slot: int) -> SlotRecord | None:
        """What is stored for a slot."""
        data = self.turn.stored.get(record_key(slot))
        return None if data is None else unpack_record(data)


class PromiseTests(OneAcceptor):
    def test_b1_a_promise_is_persisted_in_the_turn_that_sends_it(self) -> None:
        """A promise that a crash undoes lets two proposers choose two values."""
        (promise,) = self.prepare(B2, 1)
        self.assertEqual(promise, PromiseSlot(B2, 1, None))
        held = pack_ballot(*B2)
        self.assertEqual(
            self.turn.persisted, {slot_promise_key(1): held, SLOT_BALLOT: held, VOTE_COUNT: pack_number(1)}
        )
        self.assertNotIn(promise, [sent for _, sent in self.turn.early], "it waits for the disk")

    def test_lower_is_refused_for_that_slot_only(self) -> None:
        """A promise for one slot must not hold up the others, nor be broken for its own."""
        self.prepare(B3, 1)
        self.assertEqual(self.prepare(B2, 1), [NackSlot(B2, 1, B3, ZERO)])
        self.assertEqual(self.accept(B2, 1, value("a")), [NackSlot(B2, 1, B3, ZERO)])
        self.assertEqual((self.turn.persisted, self.record(1)), ({}, None))
        self.assertEqual(self.prepare(B2, 2), [PromiseSlot(B2, 2, None)])

    def test_repeated(self) -> None:
        """A Prepare whose answer was lost is answered again, and costs no commit."""
        self.prepare(B2, 1)
        self.assertEqual(self.prepare(B2, 1), [PromiseSlot(B2, 1, None)])
        self.assertEqual(self.turn.persisted, {})

    def test_reports_what_it_accepted(self) -> None:
        """What a Promise leaves out may have been chosen (I4)."""
        self.accept(B2, 1, value("a"))
        self.assertEqual(self.prepare(B4, 1), [PromiseSlot(B4, 1, SlotRecord(B2, value("a")))])

    def test_b3_its_own_proposer_needs_a_new_round(self) -> None:
        """A restarted proposer, which knows nothing, must not use a ballot again for another value."""
        self.assertEqual(self.prepare(B1, 1), [PromiseSlot(B1, 1, None)])
        self.begin(self.turn.stored)
        self.assertEqual(self.prepare(B1, 1), [NackSlot(B1, 1, B1, ZERO)])
        self.assertEqual(self.prepare(Ballot(2, 1), 1), [PromiseSlot(Ballot(2, 1), 1, None)])

    def test_its_own_proposer_leaves_others_at_work(self) -> None:
        """Whoever began first in a round is not overtaken in it by this node, whichever id is higher."""
        self.prepare(Ballot(1, 2), 1)
        acceptor3 = ClassicAcceptor(identity(3), MEMBERS, Limits(), Timings())
        turn = FakeTurn(stored=dict(ALL_SEEN))
        acceptor3.start(turn)
        inject(acceptor3, turn, proposer(2), PrepareSlot(B2, 1))
        sent = inject(acceptor3, turn, proposer(3), PrepareSlot(B3, 1))
        self.assertEqual(sent, [(proposer(3), NackSlot(B3, 1, B2, ZERO))])

    def test_b8_promises_are_read_back(self) -> None:
        """A restarted acceptor that has forgotten a promise overrules what was chosen."""
        self.prepare(B3, 5)
        self.begin(self.turn.stored)
        self.assertEqual(self.prepare(B2, 5), [NackSlot(B2, 5, B3, ZERO)])

    def test_a_promise_for_every_slot_counts(self) -> None:
        """What a life in leader mode has promised binds this one, too, and proposers learn that it is for all slots."""
        self.begin(ALL_SEEN | {PROMISE: pack_ballot(7, 3)})
        self.assertEqual(self.prepare(B2, 1), [NackSlot(B2, 1, Ballot(7, 3), Ballot(7, 3))])
        self.assertEqual(self.prepare(Ballot(8, 2), 1), [PromiseSlot(Ballot(8, 2), 1, None)])

    def test_no_vote_before_all_members_were_seen(self) -> None:
        """A node whose disk was lost must not vote: its peers refuse it, so it never sees them."""
        for ask in (lambda: self.accept(B2, 1, value("a")), lambda: self.prepare(B2, 1)):
            self.begin({member_key(1): pack_number(1)})
            self.assertEqual(ask() + ask(), [])
            self.assertEqual(self.turn.noted(), ["vote_withheld"], "said once")
        for node in (2, 3):
            self.give(Address(node, ACCEPTOR), PeerUp(node, node, 1))
        self.assertEqual(self.prepare(B2, 1), [PromiseSlot(B2, 1, None)])


class AcceptTests(OneAcceptor):
    def test_b1_a_vote_is_persisted_in_the_turn_that_sends_it(self) -> None:
        """A vote that a crash undoes is an acknowledged write that is gone."""
        (accepted,) = self.accept(B2, 1, value("a"))
        self.assertEqual(accepted, AcceptedSlot(B2, 1))
        self.assertEqual(self.record(1), SlotRecord(B2, value("a")))
        self.assertIn(record_key(1), self.turn.persisted)
        self.assertNotIn(accepted, [sent for _, sent in self.turn.early], "it waits for the disk")

    def test_b5_a_vote_is_a_promise(self) -> None:
        """An acceptor that votes below an earlier vote lets two values be chosen."""
        self.accept(B3, 1, value("c"))
        self.assertEqual(self.prepare(B2, 1), [NackSlot(B2, 1, B3, ZERO)])
        self.assertEqual(self.accept(B2, 1, value("b")), [NackSlot(B2, 1, B3, ZERO)])
        self.begin(self.turn.stored)
        self.assertEqual(self.accept(B2, 1, value("b")), [NackSlot(B2, 1, B3, ZERO)])

    def test_repeated(self) -> None:
        """An Accept whose answer was lost is answered again; another value in the same ballot never is."""
        self.accept(B2, 1, value("a"))
        self.assertEqual(self.accept(B2, 1, value("a")), [AcceptedSlot(B2, 1)])
        self.assertEqual(self.turn.persisted, {})
        self.assertEqual(self.accept(B2, 1, value("b")), [])
        self.assertEqual(self.record(1), SlotRecord(B2, value("a")))

    def test_a_higher_ballot_replaces(self) -> None:
        """What was not chosen gives way."""
        self.accept(B2, 1, value("a"))
        self.assertEqual(self.accept(B3, 1, value("b")), [AcceptedSlot(B3, 1)])
        self.assertEqual(self.record(1), SlotRecord(B3, value("b")))

    def test_b7_a_chosen_slot_takes_no_votes(self) -> None:
        """Whoever counts a vote for another value there acknowledges a write that is lost."""
        self.accept(B2, 1, value("a"))
        self.chosen(B2, 1)
        self.assertEqual(self.accept(B4, 1, value("b")), [SlotSettled(1, 1)])
        self.assertEqual(self.prepare(B4, 1), [SlotSettled(1, 1)])
        self.assertEqual(self.record(1), SlotRecord(B2, value("a")))

    def test_b7_chosen_above_a_gap(self) -> None:
        """What is known chosen is reported as such, and voted for again, but nothing else is."""
        self.give(Address(1, CATCHUP), Learn(2, (value("b"),)))
        self.assertEqual(self.prepare(B2, 2), [PromiseSlot(B2, 2, SlotRecord(ZERO, value("b"), chosen=True))])
        self.assertEqual(self.accept(B2, 2, value("a")), [SlotSettled(2, 0)])
        self.assertEqual(self.accept(B2, 2, value("b")), [AcceptedSlot(B2, 2)])
        self.assertEqual(self.record(2), SlotRecord(B2, value("b"), chosen=True))

    def test_b26_a_rival_at_a_slot_chosen_in_a_low_ballot(self) -> None:
        """What is known chosen above a gap stays so for every rival, though an older vote's ballot is all it has."""
        self.accept(Ballot(1, 1), 2, value("old"))
        self.prepare(B3, 2)
        self.assertEqual(self.accept(B2, 2, value("b")), [NackSlot(B2, 2, B3, ZERO)])
        self.chosen(B2, 2)
        chosen = SlotRecord(Ballot(1, 1), value("b"), chosen=True)
        for again in (False, True):
            with self.subTest(after_a_restart=again):
                if again:
                    self.begin(self.turn.stored)
                self.assertEqual(self.prepare(B3, 2), [PromiseSlot(B3, 2, chosen)])
                self.assertEqual(self.accept(B3, 2, value("old")), [SlotSettled(2, 0)])
        self.assertEqual(self.accept(B3, 2, value("b")), [AcceptedSlot(B3, 2)])
        self.begin(self.turn.stored)
        self.assertEqual(self.prepare(B4, 2), [PromiseSlot(B4, 2, SlotRecord(B3, value("b"), chosen=True))])
        self.assertEqual(self.accept(B4, 2, value("c")), [SlotSettled(2, 0)])

    def test_b7_chosen_above_a_gap_by_word(self) -> None:
        """A slot that was accepted here, and is called chosen, takes no other value and keeps its own for ever."""
        self.accept(B2, 2, value("b"))
        self.chosen(B2, 2)
        self.assertEqual(self.accept(B4, 2, value("c")), [SlotSettled(2, 0)])
        self.assertEqual(self.accept(B4, 2, value("b")), [AcceptedSlot(B4, 2)])
        self.assertEqual(self.record(2), SlotRecord(B4, value("b"), chosen=True))


class ChosenTests(OneAcceptor):
    def test_accepted_in_that_ballot(self) -> None:
        """The learner hears the value at once; nothing is written for it."""
        self.accept(B2, 1, value("a"))
        self.chosen(B2, 1)
        self.assertEqual(self.told(LEARNER), [ChosenSlots(1, (value("a"),), 1)])
        self.assertEqual(self.turn.persisted, {})

    def test_b14_accepted_in_another_ballot(self) -> None:
        """An older value of one's own may be any value: the chosen one is fetched."""
        self.accept(B2, 1, value("a"))
        self.chosen(B3, 1)
        self.assertEqual(self.told(LEARNER), [])
        self.assertEqual(self.told(CATCHUP), [Missing(1, 1, 3)])

    def test_refused_in_that_ballot(self) -> None:
        """A ballot has one value: one that was refused here, and chosen by others, needs no fetching."""
        self.prepare(B3, 1)
        self.accept(B2, 1, value("a"))
        self.chosen(B2, 1)
        self.assertEqual(self.told(LEARNER), [ChosenSlots(1, (value("a"),), 1)])
        self.assertEqual(self.record(1), SlotRecord(ZERO, value("a"), chosen=True))

    def test_after_a_restart(self) -> None:
        """What is on disk is known as well as what was heard in this life."""
        self.accept(B2, 1, value("a"))
        self.begin(self.turn.stored)
        self.chosen(B2, 1)
        self.assertEqual(self.told(LEARNER), [ChosenSlots(1, (value("a"),), 1)])

    def test_proposals_kept_are_few(self) -> None:
        """A proposal may have megabytes."""
        self.prepare(Ballot(99, 3), 1)
        for round_ in range(1, 20):
            self.accept(Ballot(round_, 2), 1, value(str(round_)))
        self.assertEqual(len(self.acceptor._offered), OFFERS_MAX)
        self.chosen(Ballot(19, 2), 1)
        self.assertEqual(self.acceptor._offered, {})

    def test_a_second_chosen_value(self) -> None:
        """Two chosen values for one slot: one of them is lost, and nobody may go on as if nothing had happened."""
        self.accept(B3, 2, value("c"))
        self.give(Address(1, CATCHUP), Learn(2, (value("b"),)))
        with self.assertRaisesRegex(Fenced, "another value for slot 2"):
            self.chosen(B3, 2)
        self.assertIn("chosen_value_conflict", self.turn.noted())

    def test_the_promise_of_a_chosen_slot_goes_with_its_mark(self) -> None:
        """Erased any earlier, a crash could leave the slot open and its promise forgotten."""
        self.prepare(B2, 1)
        self.accept(B2, 1, value("a"))
        self.chosen(B2, 1)
        self.assertIn(slot_promise_key(1), self.turn.staged)
        self.assertEqual(self.turn.persisted, {})
        self.assertNotIn(SLOT_BALLOT, self.turn.staged)

    def test_tells_its_own_proposer(self) -> None:
        """A proposer that waits for a slot goes on as soon as that is chosen, by whomever."""
        self.prepare(B2, 1)
        self.prepare(B1, 1)
        self.accept(B2, 1, value("a"))
        self.chosen(B2, 1)
        self.assertEqual(self.told(PROPOSER), [SlotSettled(1, 1)])
        self.accept(B2, 2, value("b"))
        self.chosen(B2, 2)
        self.assertEqual(self.told(PROPOSER), [], "it did not ask for that one")

    def test_tells_peers_how_far_its_log_is_whole(self) -> None:
        """A node that missed the end of the log would stand still until the next write."""
        self.accept(B2, 1, value("a"))
        self.chosen(B2, 1)
        sent = self.tell()
        self.assertEqual([(to, message.through) for to, message in sent], [(Address(n, ACCEPTOR), 1) for n in (2, 3)])
        self.assertIn("tell", self.turn.timers)

    def tell(self) -> list[tuple[Address, Any]]:
        """What peers are told when it is time."""
        return inject(self.acceptor, self.turn, Address(1, ACCEPTOR), TimerFired("tell"))

    def proofs(self) -> list[dict[str, Any]]:
        """The proofs noted that this node can serve."""
        return [fields for event, fields in self.turn.measures if event == "may_serve"]

    def test_b41_may_serve_once_a_quorum_echoes(self) -> None:
        """A node whose messages reach nobody can agree on nothing, however well it hears the others."""
        peer = Address(2, ACCEPTOR)
        number = self.tell()[0][1].number
        self.give(peer, ChosenThrough(0, 70, 0))
        self.give(peer, ChosenThrough(0, 71, number - 1))
        self.assertEqual(self.proofs(), [])
        self.turn.now += 1.0
        self.give(peer, ChosenThrough(4, 72, number))
        self.assertEqual(self.proofs(), [{"at": 100.0, "through": 4}])
        told = {to.node: message for to, message in self.tell()}
        self.assertEqual((told[2].echo, told[3].echo, told[2].number), (72, 0, number + 1))

    def test_b41_the_set_in_force_proves_it(self) -> None:
        """A set that waits cannot serve yet, and standbys never; all of them hear how far this log is whole."""
        sets = (*MEMBERS.sets, Configuration(10, 74, frozenset((1, 4, 5)), frozenset((6,))))
        known = Configurations(sets, (MemberRecord(1, 0xB1),), 6)
        for applied, others, of_no_help, proves in ((10, [2, 3, 4, 5, 6], (4, 5, 6), 2), (73, [4, 5, 6], (2, 3, 6), 5)):
            self.give(Address(1, LEARNER), MembersAre(known, applied))
            told = self.tell()
            self.assertEqual([to.node for to, _ in told], others)
            before = len(self.proofs())
            for node in of_no_help:
                self.give(Address(node, ACCEPTOR), ChosenThrough(0, 70, told[0][1].number))
            self.assertEqual(len(self.proofs()), before)
            self.give(Address(proves, ACCEPTOR), ChosenThrough(0, 70, told[0][1].number))
            self.assertEqual(len(self.proofs()), before + 1)

    def test_a_heard_mark_takes_no_promise_back(self) -> None:
        """That a slot is chosen somewhere frees nobody here: what was promised holds until its value is known."""
        self.prepare(B2, 1)
        self.give(Address(3, ACCEPTOR), ChosenThrough(4, 1, 0))
        self.assertEqual(self.accept(B1, 1, value("late")), [NackSlot(B1, 1, B2, ZERO)])

    def test_hears_of_a_gap(self) -> None:
        """Catch-up learns whom to ask."""
        self.give(Address(3, ACCEPTOR), ChosenThrough(4, 1, 0))
        self.assertEqual(self.told(CATCHUP), [Missing(1, 4, 3)])

    def test_words_of_leader_mode(self) -> None:
        """They would be promises that nobody here knows of."""
        for message in (Prepare(B4, 1), Accept(B4, 1, value("a"), 0), ChosenMark(B4, 1), Confirm(B4, 1)):
            self.assertEqual(self.give(proposer(2), message), [])
        self.assertEqual(self.turn.stored, ALL_SEEN)


class SwitchedTests(OneAcceptor):
    """The same disk under leader mode."""

    def lead(self) -> list[tuple[Address, Any]]:
        """Begin a life in leader mode on what is stored; what it says first."""
        self.turn = FakeTurn(stored=dict(self.turn.stored))
        leader_mode = Acceptor(identity(1), MEMBERS, Limits())
        leader_mode.start(self.turn)
        return self.turn.sent

    def test_the_promise_rises_above_all(self) -> None:
        """A leader's ballot must not pass below what was promised for a slot, or accepted in one."""
        self.prepare(Ballot(5, 3), 7)
        self.accept(Ballot(3, 2), 2, value("b"))
        self.assertIn((proposer(1), PromiseRaised(Ballot(5, 3))), self.lead())
        self.assertEqual(self.turn.persisted[PROMISE], pack_ballot(5, 3))
        self.assertNotIn(slot_promise_key(7), self.turn.stored)

    def test_chosen_slots_count_too(self) -> None:
        """A leader that slept through the switch must not be confirmed by who voted since: it would serve the past."""
        self.prepare(Ballot(5, 3), 1)
        self.accept(Ballot(5, 3), 1, value("b"))
        self.chosen(Ballot(5, 3), 1)
        self.begin({key: stored for key, stored in self.turn.stored.items() if key != slot_promise_key(1)})
        self.lead()
        self.assertEqual(self.turn.persisted[PROMISE], pack_ballot(5, 3))

    def test_and_back(self) -> None:
        """What was promised as a leader's acceptor stays when it votes slot by slot again."""
        self.prepare(Ballot(5, 3), 7)
        self.lead()
        self.begin(self.turn.stored)
        self.assertEqual(self.prepare(Ballot(4, 2), 7), [NackSlot(Ballot(4, 2), 7, Ballot(5, 3), Ballot(5, 3))])
