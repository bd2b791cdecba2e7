"""Rounds of read barriers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import GATEWAY, Address
from dkv.configurations import Configuration
from dkv.messages import BarrierRequest
from dkv.paxos.read_rounds import ReadRounds

THREE = Configuration(0, 1, frozenset((1, 2, 3)))
ONE, TWO = Address(1, GATEWAY), Address(2, GATEWAY)


class RoundTests(SynchronousTestCase):
    def test_b27_a_request_waits_for_a_round_that_begins_after_it(self) -> None:
        """A confirmation given before the read arrived says nothing about what happened since."""
        rounds = ReadRounds(THREE)
        rounds.request(ONE, BarrierRequest(1, 1))
        self.assertTrue(rounds.begin(THREE, 0.0))
        rounds.request(TWO, BarrierRequest(1, 1))
        rounds.request(ONE, BarrierRequest(1, 2))
        self.assertFalse(rounds.begin(THREE, 0.0))
        self.assertEqual(rounds.end(), [(ONE, BarrierRequest(1, 1))])
        self.assertTrue(rounds.begin(THREE, 1.0))
        self.assertEqual((rounds.round, rounds.confirmed), (2, set()))
        self.assertEqual(rounds.end(), [(TWO, BarrierRequest(1, 1)), (ONE, BarrierRequest(1, 2))])
        self.assertFalse(rounds.begin(THREE, 2.0))

    def test_the_newest_request_stands_for_all(self) -> None:
        """An old request that comes late must not hide a newer one, nor one of a new boot."""
        rounds = ReadRounds(THREE)
        for boot, number in ((1, 5), (1, 4), (2, 1), (1, 9)):
            rounds.request(ONE, BarrierRequest(boot, number))
        rounds.begin(THREE, 0.0)
        self.assertEqual(rounds.end(), [(ONE, BarrierRequest(2, 1))])

    def test_confirmed_by_those_who_decided_when_it_began(self) -> None:
        """Confirmations of nodes that decide nothing, or no longer, leave a later leader unseen."""
        rounds = ReadRounds(THREE)
        rounds.request(ONE, BarrierRequest(1, 1))
        rounds.begin(Configuration(9, 10, frozenset((3, 4, 5)), frozenset((1,))), 0.0)
        for node, confirmed in ((1, False), (2, False), (4, False), (5, True)):
            rounds.confirmed.add(node)
            self.assertIs(rounds.is_confirmed, confirmed, f"node {node}")
        rounds.end()
        self.assertFalse(rounds.is_confirmed, "no round is under way")

    def test_begun_again(self) -> None:
        """Nobody's reads wait for nodes that have left, and no request that came meanwhile is forgotten."""
        rounds = ReadRounds(THREE)
        for gateway in (ONE, TWO):
            rounds.request(gateway, BarrierRequest(1, 2))
        rounds.begin(THREE, 0.0)
        rounds.request(ONE, BarrierRequest(1, 3))
        rounds.request(TWO, BarrierRequest(1, 1))  # late: number 2 stands for it
        rounds.begin_again()
        self.assertFalse(rounds.under_way)
        self.assertTrue(rounds.begin(THREE, 0.0))
        self.assertEqual(rounds.round, 2)
        self.assertEqual(dict(rounds.end()), {ONE: BarrierRequest(1, 3), TWO: BarrierRequest(1, 2)})
