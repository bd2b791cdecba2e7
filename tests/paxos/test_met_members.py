"""What an acceptor keeps of the other members, and tells them of its own votes (B34)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, ELECTOR, PROPOSER, Address
from dkv.ballot import Ballot
from dkv.configurations import Configuration, Configurations, MemberRecord, first_configurations
from dkv.events import MembersAre, PeerMet, PeerUp, Progress, TimerFired
from dkv.identity import Acquaintance, Identity, Start, Votes, pack_acquaintance
from dkv.keys import VOTE_COUNT, member_key, unpack_number
from dkv.messages import Accept, Accepted, AcceptSlot, Prepare, PrepareSlot, Promise, Voted
from dkv.paxos.acceptor import Acceptor
from dkv.paxos.classic.acceptor import ClassicAcceptor
from dkv.paxos.vote_count import VOTED_SECONDS
from dkv.records import NOOP
from dkv.settings import Limits, Timings
from tests.turns import FakeTurn, inject

ME = Identity("blue", 1, 0xB1, 3)
FIRST = first_configurations((1, 2, 3))
BALLOT = Ballot(5, 2)
HELD = {node: Acquaintance(0xB0 + node, Start(7, 70 + node), Votes(BALLOT, 4)) for node in (2, 3)}
STORED = {member_key(node): pack_acquaintance(held) for node, held in HELD.items()}
ALL = (Address(2, ACCEPTOR), Address(3, ACCEPTOR))


def with_record(record: MemberRecord) -> Configurations:
    """The log has named one member, long ago."""
    return Configurations((Configuration(100, 164, frozenset((1, 2, 4))),), (record,), 4)


class MembersTestCase(SynchronousTestCase):
    def begin(self, stored: dict[bytes, bytes], classic: bool = False) -> None:
        """Acceptor 1 of three, with that on its disk."""
        self.turn = FakeTurn(stored=dict(stored))
        self.acceptor = ClassicAcceptor(ME, FIRST, Limits(), Timings()) if classic else Acceptor(ME, FIRST, Limits())
        self.acceptor.start(self.turn)
        self.turn.take()

    def give(self, message: Any, node: int = 2) -> list[tuple[Address, Any]]:
        """A message of another node; what is sent then that tells of votes."""
        self.turn.take()
        sent = inject(self.acceptor, self.turn, Address(node, ACCEPTOR), message)
        return [(to, said) for to, said in sent if isinstance(said, Voted)]


class VotingTests(MembersTestCase):
    """Who may vote once members change: the log knows the directories that do (B12)."""

    def members(self, applied: int, *records: MemberRecord, voters: Iterable[int] = (1, 2, 4)) -> None:
        """The learner says that the log has replaced some of the first members, from slot 74 on."""
        sets = (*FIRST.sets, Configuration(10, 74, frozenset(voters)))
        self.give(MembersAre(Configurations(sets, records, 9), applied), 1)

    def votes(self) -> bool:
        """Whether it answers a Prepare."""
        sent = inject(self.acceptor, self.turn, Address(2, PROPOSER), Prepare(BALLOT, 1))
        return any(isinstance(message, Promise) for _, message in sent)

    def test_a_member_that_was_replaced_before_it_was_met(self) -> None:
        """Node 3 died before this node met it: waiting for it would cost this node its vote for ever."""
        self.begin({member_key(2): STORED[member_key(2)]})
        self.assertFalse(self.votes())
        self.turn.take()
        self.members(10, MemberRecord(1, 0xB1))
        self.assertIn("voting", self.turn.noted())
        self.assertIn((Address(1, ELECTOR), Progress(0, 0)), self.turn.sent, "elections begin for it")
        self.assertTrue(self.votes())

    def test_b12_the_log_names_another_directory(self) -> None:
        """A wiped node whom the present members never knew under its old directory: it must not vote on what it lost.

        It has met all of them, and they let it in.
        """
        self.begin(STORED)
        self.members(80, MemberRecord(1, 0xBEEF))
        self.assertFalse(self.votes())
        self.begin({})
        self.members(80, MemberRecord(1, 0xBEEF), voters=(1, 4, 5))
        for node in (2, 3, 4, 5):
            self.give(PeerUp(node, node, 1), node)
        self.assertFalse(self.votes())

    def test_b12_those_that_could_have_known_it_are_gone(self) -> None:
        """Of a wiped node that was removed the log may say nothing any more, and the present members knew no other."""
        self.begin({})
        self.members(80, voters=(4, 5))
        for node in (4, 5):
            self.give(PeerMet(node, Acquaintance(node)), node)
            self.give(PeerUp(node, node, 1), node)
        self.assertFalse(self.votes())

    def test_a_node_that_joins(self) -> None:
        """It has met everybody and is no member yet; the log names it, and a restart knows that at once."""
        me = Identity("blue", 4, 0xB4, 1)
        for configurations, may in ((FIRST, False), (with_record(MemberRecord(4, 0xB4)), True)):
            self.turn = FakeTurn(stored=STORED | {member_key(1): pack_acquaintance(Acquaintance(0xB1))})
            self.acceptor = Acceptor(me, configurations, Limits())
            self.acceptor.start(self.turn)
            self.assertEqual(self.votes(), may)
        self.acceptor = Acceptor(me, FIRST, Limits())
        self.acceptor.start(self.turn)
        self.members(10, MemberRecord(4, 0xB4))
        self.assertTrue(self.votes())

    def test_a_copy_of_no_member(self) -> None:
        """An operator who reads that other nodes are waited for would look for the fault there."""
        self.turn = FakeTurn()
        self.acceptor = Acceptor(ME, with_record(MemberRecord(1, 0xBEEF)), Limits())
        self.acceptor.start(self.turn)
        self.assertFalse(self.votes())
        self.assertEqual(self.turn.notes, [("vote_withheld", {"ballot": BALLOT, "unseen": []})])

    def test_told_to_the_members_of_the_moment(self) -> None:
        """A new member judges the lives of this node by its votes too (B34); one that is gone is not told."""
        self.begin(STORED)
        self.give(Prepare(BALLOT, 1))
        for applied, nodes in ((10, (2, 3, 4)), (73, (2, 4))):
            self.members(applied, MemberRecord(1, 0xB1))
            told = self.give(TimerFired("voted"), node=1)
            self.assertEqual([to.node for to, _ in told], [*nodes])


class KeepingTests(MembersTestCase):
    def test_a_new_life_is_kept_durably(self) -> None:
        """After a restart of this node an older life of the other must still be refused."""
        self.begin(STORED)
        met = Acquaintance(0xB2, Start(8, 1), Votes(BALLOT, 4))
        self.give(PeerMet(2, met))
        self.assertEqual(self.turn.persisted, {member_key(2): pack_acquaintance(met)})

    def test_b12_nothing_is_kept_before_both_sides_agree(self) -> None:
        """What is kept of all members lets this node vote: a wiped one, whom they refuse, must not get there."""
        self.begin({})
        met = Acquaintance(0xB2, Start(8, 1))
        self.give(PeerMet(2, met))
        self.give(Voted(BALLOT, 9))
        self.assertEqual((self.turn.persisted, self.turn.staged), ({}, {}))
        self.give(PeerUp(2, 0xB2, 8))
        self.assertEqual(self.turn.persisted, {member_key(2): pack_acquaintance(met)})

    def test_votes_of_others_are_kept(self) -> None:
        """This node may be the only one that knows what another has forgotten, and may have been restarted since."""
        self.begin(STORED)
        for message, votes in (
            (Voted(Ballot(6, 3), 2), Votes(Ballot(6, 3), 4)),
            (Voted(BALLOT, 9), Votes(Ballot(6, 3), 9)),
        ):
            self.give(message)
            kept = Acquaintance(0xB2, Start(7, 72), votes)
            self.assertEqual(self.turn.staged, {member_key(2): pack_acquaintance(kept)})
        self.give(Voted(BALLOT, 9))
        self.assertEqual(self.turn.staged, {}, "nothing new")

    def test_votes_belong_to_the_life_that_told_them(self) -> None:
        """Kept under an earlier life they would be held against the very one that cast them."""
        self.begin(STORED)
        self.give(PeerMet(2, Acquaintance(0xB2, Start(8, 1), Votes(BALLOT, 4))))
        self.give(Voted(BALLOT, 9))
        kept = Acquaintance(0xB2, Start(8, 1), Votes(BALLOT, 9))
        self.assertEqual(self.turn.staged, {member_key(2): pack_acquaintance(kept)})

    def test_votes_of_a_node_that_was_never_met(self) -> None:
        """It came later, or nothing is kept of it any more: its word must not end this node."""
        self.begin(STORED)
        self.give(Voted(BALLOT, 9), node=4)
        self.assertEqual(self.turn.staged, {})
        met = Acquaintance(0xB4, Start(1, 44))
        self.give(PeerMet(4, met), node=4)
        self.assertEqual(self.turn.persisted, {member_key(4): pack_acquaintance(met)})
        self.give(Voted(BALLOT, 9), node=4)
        kept = Acquaintance(0xB4, Start(1, 44), Votes(BALLOT, 9))
        self.assertEqual(self.turn.staged, {member_key(4): pack_acquaintance(kept)})


class TellingTests(MembersTestCase):
    def test_told_a_while_after_a_vote(self) -> None:
        """Once for all votes of that while; an acceptor that casts none says nothing and sets no timer."""
        self.begin(STORED)
        self.assertNotIn("voted", self.turn.timers)
        for slot in (1, 2, 3):
            self.assertEqual(self.give(Accept(BALLOT, slot, NOOP, 0)), [])
        self.assertEqual(self.turn.timers["voted"], self.turn.now + VOTED_SECONDS)
        told = self.give(TimerFired("voted"), node=1)
        self.assertEqual(told, [(to, Voted(BALLOT, 4)) for to in ALL], "of the promise, too")

    def test_a_promise_is_a_vote_too(self) -> None:
        """A forgotten promise lets two leaders count one acceptor."""
        self.begin(STORED)
        self.give(Prepare(BALLOT, 1))
        self.assertIn("voted", self.turn.timers)
        self.assertEqual(self.give(TimerFired("voted"), node=1), [(to, Voted(BALLOT, 1)) for to in ALL])

    def test_b34_every_vote_is_counted(self) -> None:
        """Also one for a slot below others, in a ballot that is promised already: no mark of the log shows that one."""
        self.begin(STORED)
        self.give(Accept(Ballot(4, 3), 3, NOOP, 0))
        self.give(Prepare(BALLOT, 1))
        before = dict(self.turn.stored)
        sent = inject(self.acceptor, self.turn, Address(2, PROPOSER), Accept(BALLOT, 2, NOOP, 0))
        (said,) = [message for _, message in sent if isinstance(message, Accepted)]
        self.assertEqual(said.votes, 4, "two promises, two slots")
        self.assertEqual(unpack_number(self.turn.stored[VOTE_COUNT]), 4)
        self.begin(before)
        self.assertEqual(self.give(PeerUp(2, 0xB2, 7)), [(ALL[0], Voted(BALLOT, 3))])

    def test_what_is_said_again_is_one_vote(self) -> None:
        """A vote that is repeated is on disk already."""
        self.begin(STORED)
        for _ in range(2):
            self.give(Prepare(BALLOT, 1))
            self.give(Accept(BALLOT, 3, NOOP, 0))
        self.assertEqual(unpack_number(self.turn.stored[VOTE_COUNT]), 2)

    def test_told_to_whoever_comes_back(self) -> None:
        """What was told while a connection was lost would be missing for as long as there is no other vote."""
        self.begin(STORED)
        self.assertEqual(self.give(PeerUp(2, 0xB2, 7)), [], "there is nothing to tell")
        self.give(Accept(BALLOT, 3, NOOP, 0))
        self.assertEqual(self.give(PeerUp(2, 0xB2, 7)), [(ALL[0], Voted(BALLOT, 2))])

    def test_what_was_on_the_disk_at_the_start(self) -> None:
        """A restart does not lower what is told."""
        self.begin(STORED)
        for slot in (1, 2, 4):
            self.give(Accept(BALLOT, slot, NOOP, 2))
        self.begin(self.turn.stored)
        self.assertEqual(self.give(PeerUp(2, 0xB2, 7)), [(ALL[0], Voted(BALLOT, 4))])

    def test_in_classic_mode(self) -> None:
        """Promises and votes for single slots count: the highest ballot of any."""
        for message in (PrepareSlot(BALLOT, 7), AcceptSlot(BALLOT, 7, NOOP)):
            self.begin(STORED, classic=True)
            self.turn.take()
            inject(self.acceptor, self.turn, Address(2, PROPOSER), message)
            self.assertIn("voted", self.turn.timers)
            self.assertEqual(self.give(TimerFired("voted"), node=1), [(to, Voted(BALLOT, 1)) for to in ALL])
