"""Rounds of read barriers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import GATEWAY, Address
from dkv.messages import BarrierRequest
from dkv.paxos.read_rounds import ReadRounds

ONE, TWO = Address(1, GATEWAY), Address(2, GATEWAY)


class RoundTests(SynchronousTestCase):
    def test_b27_a_request_waits_for_a_round_that_begins_after_it(self) -> None:
        """A confirmation given before the read arrived says nothing about what happened since."""
        rounds = ReadRounds()
        rounds.request(ONE, BarrierRequest(1, 1))
        self.assertTrue(rounds.begin(0.0))
        rounds.request(TWO, BarrierRequest(1, 1))
        rounds.request(ONE, BarrierRequest(1, 2))
        self.assertFalse(rounds.begin(0.0))
        self.assertEqual(rounds.end(), [(ONE, BarrierRequest(1, 1))])
        self.assertTrue(rounds.begin(1.0))
        self.assertEqual((rounds.round, rounds.confirmed), (2, set()))
        self.assertEqual(rounds.end(), [(TWO, BarrierRequest(1, 1)), (ONE, BarrierRequest(1, 2))])
        self.assertFalse(rounds.begin(2.0))

    def test_the_newest_request_stands_for_all(self) -> None:
        """An old request that comes late must not hide a newer one, nor one of a new boot."""
        rounds = ReadRounds()
        for boot, number in ((1, 5), (1, 4), (2, 1), (1, 9)):
            rounds.request(ONE, BarrierRequest(boot, number))
        rounds.begin(0.0)
        self.assertEqual(rounds.end(), [(ONE, BarrierRequest(2, 1))])
