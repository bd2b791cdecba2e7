"""An acceptor lets the others know how many votes are on its disk: if the disk forgets one, they notice (B34)."""

from __future__ import annotations

from dkv.actor import ACCEPTOR, Address
from dkv.ballot import Ballot
from dkv.events import PeerUp, TimerFired
from dkv.messages import Prepare, Voted
from dkv.paxos.vote_count import VOTED_SECONDS
from tests.paxos.test_acceptor import OneAcceptor, proposer, value
from tests.turns import inject

B1, B2 = Ballot(1, 2), Ballot(2, 2)


class VotesToldTests(OneAcceptor):
    """The leader sees each vote itself. The other peers would otherwise hear of none."""

    def fire(self) -> list[tuple[Address, Voted]]:
        """The time has come: what is said, and to whom."""
        self.turn.timers.pop("voted")
        sent = inject(self.acceptor, self.turn, Address(1, ACCEPTOR), TimerFired("voted"))
        return [(to, message) for to, message in sent if isinstance(message, Voted)]

    def everybody(self, voted: Voted) -> list[tuple[Address, Voted]]:
        """The same word to both peers."""
        return [(Address(node, ACCEPTOR), voted) for node in (2, 3)]

    def test_all_votes_of_a_while_at_once(self) -> None:
        """One message for each vote would cost as much as the votes."""
        self.assertEqual(self.turn.timers, {})
        self.give(proposer(2), Prepare(B1, 1))
        self.assertEqual(self.turn.timers, {"voted": self.turn.now + VOTED_SECONDS})
        self.turn.now += 0.1
        self.accept(B1, 1, value("a"))
        self.assertEqual(self.turn.timers, {"voted": self.turn.now - 0.1 + VOTED_SECONDS}, "not put off")
        self.assertEqual(self.fire(), self.everybody(Voted(B1, 2)))
        self.assertEqual(self.turn.timers, {})

    def test_again_after_the_next_vote(self) -> None:
        """A node that falls silent after its first word leaves its later votes to be forgotten unseen."""
        self.give(proposer(2), Prepare(B1, 1))
        self.fire()
        self.give(proposer(2), Prepare(B2, 1))
        self.assertEqual(self.fire(), self.everybody(Voted(B2, 2)))

    def test_a_peer_that_connects(self) -> None:
        """It may have lost what it was told, with its connection or its life."""
        self.give(proposer(2), Prepare(B1, 1))
        self.turn.take()
        sent = inject(self.acceptor, self.turn, Address(3, ACCEPTOR), PeerUp(3, 0xB3, 5))
        self.assertIn((Address(3, ACCEPTOR), Voted(B1, 1)), sent)

    def test_counted_over_restarts(self) -> None:
        """A count that begins again would accuse an honest disk."""
        self.give(proposer(2), Prepare(B1, 1))
        self.begin(self.turn.stored)
        self.accept(B1, 1, value("a"))
        self.assertEqual(self.fire(), self.everybody(Voted(B1, 2)))
