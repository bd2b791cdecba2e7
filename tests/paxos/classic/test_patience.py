"""Patience: random, growing, bounded, and by the measure of how long a slot takes."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from dkv.paxos.classic.patience import RANK_MAX, WAIT_SECONDS_MAX, WAIT_SECONDS_MIN, WAIT_SLOTS, Patience


class PatienceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.random = Random(7)
        self.patience = Patience()

    def test_random(self) -> None:
        """Two nodes that wait for each other must not wake at one moment."""
        self.assertNotEqual(Patience().wait(self.random), Patience().wait(self.random))

    def test_grows_up_to_a_bound(self) -> None:
        """However slow the others are, one is patient enough at last; however long it lasts, one tries again."""
        waits = [self.patience.wait(self.random) for _ in range(40)]
        self.assertGreaterEqual(waits[0], WAIT_SECONDS_MIN)
        self.assertLessEqual(max(waits), 2 * WAIT_SECONDS_MAX)
        self.assertGreaterEqual(min(waits[8:]), WAIT_SECONDS_MAX)

    def test_by_what_a_slot_takes(self) -> None:
        """On a slow disk or a long way nobody may be overtaken in the middle of every slot."""
        for slot in range(100):
            self.patience.begin(slot)
            self.patience.won(slot + 0.1)
        self.assertAlmostEqual(self.patience.wait(Random(7)) / Random(7).uniform(1, 2), WAIT_SLOTS * 0.1, places=3)

    def test_rank(self) -> None:
        """Who has waited for longest goes first, and last when it had its turn."""
        self.assertEqual(self.patience.rank, 0)
        for _ in range(3):
            self.patience.lost()
        self.assertEqual(self.patience.rank, 3)
        for _ in range(100):
            self.patience.lost()
        self.assertEqual(self.patience.rank, RANK_MAX)
        self.patience.won(1.0)
        self.assertEqual(self.patience.rank, 0)
