"""Echoes: whether a quorum hears this node and is heard by it, in classic mode."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import Configuration
from dkv.messages import ChosenThrough
from dkv.paxos.echoes import Echoes

FIVE = Configuration(0, 1, frozenset(range(1, 6)))


class EchoesTests(SynchronousTestCase):
    """Node 1 of five."""

    def setUp(self) -> None:
        self.echoes = Echoes(1)
        self.echoes.start(1000)

    def test_a_quorum_with_this_node(self) -> None:
        """Two of four others are enough, and one is not."""
        number = self.echoes.tell(7.0)
        self.echoes.heard(2, ChosenThrough(10, 1, number))
        self.echoes.heard(2, ChosenThrough(12, 2, number))
        self.assertIsNone(self.echoes.take_proof(FIVE))
        self.echoes.heard(3, ChosenThrough(11, 1, number))
        self.assertEqual(self.echoes.take_proof(FIVE), (7.0, 12))
        self.assertIsNone(self.echoes.take_proof(FIVE), "a proof is taken once")

    def test_later_numbers_count_and_earlier_do_not(self) -> None:
        """An echo says that all of this node's messages up to there have arrived, or were lost before."""
        first = self.echoes.tell(7.0)
        second = self.echoes.tell(8.0)
        self.echoes.heard(2, ChosenThrough(0, 1, first - 1))
        self.echoes.heard(3, ChosenThrough(0, 1, second))
        self.assertIsNone(self.echoes.take_proof(FIVE))
        self.echoes.heard(4, ChosenThrough(0, 1, first))
        self.assertEqual(self.echoes.take_proof(FIVE), (7.0, 0))
        self.echoes.tell(9.0)
        self.echoes.heard(2, ChosenThrough(0, 2, second))
        self.echoes.heard(3, ChosenThrough(0, 2, second))
        self.assertIsNone(self.echoes.take_proof(FIVE), "the next one is asked for anew")

    def test_numbers_of_an_earlier_life(self) -> None:
        """A restarted node has reached nobody yet, whatever its last life had sent."""
        self.echoes.tell(7.0)
        for node in (2, 3, 4, 5):
            self.echoes.heard(node, ChosenThrough(0, 1, 5000))
        self.assertIsNone(self.echoes.take_proof(FIVE))

    def test_what_peers_hear_back(self) -> None:
        """The last number that was heard, also if a restarted peer counts from a lower one."""
        self.assertEqual(self.echoes.of(2), 0)
        for number in (90, 7):
            self.echoes.heard(2, ChosenThrough(0, number, 0))
            self.assertEqual(self.echoes.of(2), number)

    def test_from_the_first_number_on(self) -> None:
        """Where counting begins is random, and may be at 0: the first number is one like any other."""
        self.echoes.start(0)
        self.assertEqual(self.echoes.tell(7.0), 1)
        for node in (2, 3):
            self.echoes.heard(node, ChosenThrough(0, 1, 1))
        self.assertEqual(self.echoes.take_proof(FIVE), (7.0, 0))

    def test_alone(self) -> None:
        """A cluster of one needs nobody."""
        echoes, alone = Echoes(1), Configuration(0, 1, frozenset((1,)))
        echoes.start(0)
        self.assertIsNone(echoes.take_proof(alone))
        echoes.tell(7.0)
        self.assertEqual(echoes.take_proof(alone), (7.0, 0))
