"""What an acceptor keeps of the other members, and tells them of its own votes (B34)."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, PROPOSER, Address
from dkv.ballot import Ballot
from dkv.events import PeerMet, PeerUp, TimerFired
from dkv.identity import Acquaintance, Start, Votes, pack_acquaintance
from dkv.keys import VOTE_COUNT, member_key, unpack_number
from dkv.messages import Accept, Accepted, AcceptSlot, Prepare, PrepareSlot, Voted
from dkv.paxos.acceptor import VOTED_SECONDS, Acceptor
from dkv.paxos.classic.acceptor import ClassicAcceptor
from dkv.records import NOOP
from dkv.settings import Limits, Timings
from tests.turns import FakeTurn, inject

BALLOT = Ballot(5, 2)
HELD = {node: Acquaintance(0xB0 + node, Start(7, 70 + node), Votes(BALLOT, 4)) for node in (2, 3)}
STORED = {member_key(node): pack_acquaintance(held) for node, held in HELD.items()}
ALL = (Address(2, ACCEPTOR), Address(3, ACCEPTOR))


class MembersTestCase(SynchronousTestCase):
    def begin(self, stored: dict[bytes, bytes], classic: bool = False) -> None:
        """Acceptor 1 of three, with that on its disk."""
        self.turn = FakeTurn(stored=dict(stored))
        limits = Limits()
        self.acceptor = ClassicAcceptor(1, (1, 2, 3), limits, Timings()) if classic else Acceptor(1, (1, 2, 3), limits)
        self.acceptor.start(self.turn)
        self.turn.take()

    def give(self, message: Any, node: int = 2) -> list[tuple[Address, Any]]:
        """A message of another node; what is sent then that tells of votes."""
        self.turn.take()
        sent = inject(self.acceptor, self.turn, Address(node, ACCEPTOR), message)
        return [(to, said) for to, said in sent if isinstance(said, Voted)]


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
