"""Which node is asked next, and after which pause."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.blocking import Endpoint
from dkv.client.itinerary import LEARN_SECONDS, MOVED_SECONDS, PATIENCE_SECONDS_MAX, PAUSE_SECONDS_MAX, Itinerary

A, B, C, D = (Endpoint(name, 1) for name in "abcd")


class ItineraryTests(SynchronousTestCase):
    def test_in_turn(self) -> None:
        """All are asked at once, then after a pause that grows: a cluster that is down is not asked all the time."""
        itinerary = Itinerary([A, B, A])
        asked = [itinerary.next() for _ in range(30)]
        self.assertEqual([endpoint for endpoint, _ in asked], [A, B] * 15)
        pauses = [pause for _, pause in asked[::2]]
        self.assertEqual(pauses[0], 0.0)
        self.assertTrue(all(earlier <= later for earlier, later in pairwise(pauses)))
        self.assertEqual(pauses[-1], PAUSE_SECONDS_MAX)
        self.assertEqual({pause for _, pause in asked[1::2]}, {0.0})

    def test_served(self) -> None:
        """The node that served is left last, and the next one is asked at once."""
        itinerary = Itinerary([A, B, C])
        for _ in range(8):
            itinerary.next()
        itinerary.was_silent()
        itinerary.served()
        self.assertEqual(itinerary.endpoints, (C, A, B))
        self.assertEqual(itinerary.next(), (C, 0.0))

    def test_patience(self) -> None:
        """A request that takes long is not given up for ever, and a frozen node is not waited for long."""
        itinerary = Itinerary([A])
        first = itinerary.patience
        itinerary.was_silent()
        self.assertEqual(itinerary.patience, 2 * first)
        for _ in range(10):
            itinerary.was_silent()
        self.assertEqual(itinerary.patience, PATIENCE_SECONDS_MAX)
        itinerary.served()
        self.assertEqual(itinerary.patience, first)

    def test_learning(self) -> None:
        """Members that came are asked, those that went are not, and those that were given always are."""
        itinerary = Itinerary([A, B])
        itinerary.next()
        itinerary.learn([B, C])
        self.assertEqual(itinerary.endpoints, (B, A, C))
        itinerary.learn([D])
        self.assertEqual(itinerary.endpoints, (B, A, D))

    def test_when_to_learn(self) -> None:
        """Once a minute, and sooner for a client that has to move."""
        itinerary = Itinerary([A])
        self.assertTrue(itinerary.is_to_learn(5.0, moved=False))
        self.assertFalse(itinerary.is_to_learn(4.9 + LEARN_SECONDS, moved=False))
        self.assertFalse(itinerary.is_to_learn(4.9 + MOVED_SECONDS, moved=True))
        self.assertTrue(itinerary.is_to_learn(5.0 + MOVED_SECONDS, moved=True))
        self.assertTrue(itinerary.is_to_learn(6.0 + MOVED_SECONDS + LEARN_SECONDS, moved=False))

    def test_nobody(self) -> None:
        """A client that knows nobody is a mistake of the program."""
        self.assertRaises(ValueError, Itinerary, [])
