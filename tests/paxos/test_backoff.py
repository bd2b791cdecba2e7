"""How long to wait before sending again."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.paxos.backoff import backoff


class BackoffTests(SynchronousTestCase):
    def test_twice_as_long_each_time(self) -> None:
        """A cluster that sends all it has again and again never gets to the end of it; one that stops, neither."""
        self.assertEqual([backoff(times) for times in (1, 2, 3, 4, 5, 6, 9)], [1, 2, 4, 8, 16, 16, 16])
