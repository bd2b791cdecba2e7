"""Clients that ask again and again share batches, and nobody waits for those who do not come."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.gateway.gathering import (
    GATHERED_BYTES_MAX,
    LULL_SECONDS,
    LULLS_COUNTED_MAX,
    STALE_SECONDS,
    WAIT_SECONDS_MAX,
    Gathering,
)
from dkv.replies import OK
from dkv.settings import Limits
from tests.gateway.one_gateway import OneGateway, get, put, requests


class GatheringTests(SynchronousTestCase):
    """The rule by itself."""

    def setUp(self) -> None:
        self.gathering = Gathering()

    def lull(self) -> None:
        """Somebody waits for those who were just answered, and nobody comes."""
        self.assertTrue(self.gathering.watch())
        self.gathering.look()

    def test_waits_for_all_who_were_answered(self) -> None:
        """With fewer, two groups of clients would go on missing each other for ever."""
        self.assertFalse(self.gathering.should_wait(1.0))
        self.gathering.answered(3, 1.0)
        for _ in range(2):
            self.assertTrue(self.gathering.should_wait(1.001))
            self.gathering.arrived(1, 1.001)
        self.assertTrue(self.gathering.should_wait(1.001))
        self.gathering.arrived(1, 1.001)
        self.assertFalse(self.gathering.should_wait(1.001))

    def test_ends_with_a_lull(self) -> None:
        """A client that is alone with its write must not wait for those who have gone."""
        self.gathering.answered(3, 1.0)
        self.assertTrue(self.gathering.should_wait(1.0))
        self.lull()
        self.assertFalse(self.gathering.should_wait(1.001))

    def test_who_comes_puts_off_the_lull(self) -> None:
        """The others may be about to come too."""
        self.gathering.answered(3, 1.0)
        self.assertTrue(self.gathering.watch())
        self.assertFalse(self.gathering.watch())  # one timer at a time
        self.gathering.arrived(1, 1.0005)
        self.gathering.look()
        self.assertTrue(self.gathering.should_wait(1.001))
        self.lull()
        self.assertFalse(self.gathering.should_wait(1.002))

    def test_has_an_end_whoever_comes(self) -> None:
        """Reads that are answered all the time would keep a write waiting for ever."""
        now, began = 1.0, 1.0
        self.gathering.answered(5, now)
        while self.gathering.should_wait(now):
            self.gathering.answered(1, now)
            self.gathering.arrived(1, now)
            now += 0.0001
        self.assertAlmostEqual(now - began, WAIT_SECONDS_MAX, places=3)

    def test_the_next_one_may_wait_as_long(self) -> None:
        """The bound is one for each batch."""
        self.gathering.answered(5, 1.0)
        self.assertTrue(self.gathering.should_wait(1.0))
        self.assertFalse(self.gathering.should_wait(1.0 + 2 * WAIT_SECONDS_MAX))
        self.assertTrue(self.gathering.should_wait(1.1))

    def test_who_is_late_is_not_expected(self) -> None:
        """A request that comes after a pause is served at once."""
        self.gathering.answered(5, 1.0)
        self.gathering.arrived(1, 1.0 + STALE_SECONDS)
        self.assertFalse(self.gathering.should_wait(1.0 + STALE_SECONDS))

    def test_lulls_teach(self) -> None:
        """Where clients take their time, ever fewer of their batches wait; one in 1,024 in the end."""
        waits = []
        for number in range(4_200):
            self.gathering.answered(2, float(number))
            if self.gathering.should_wait(float(number)):
                waits.append(number)
                self.lull()
        self.assertEqual(waits[:5], [0, 3, 8, 17, 34])
        self.assertEqual(waits[-1] - waits[-2], 2**LULLS_COUNTED_MAX + 1)

    def test_and_are_forgotten(self) -> None:
        """Once those who were expected have come, there is no reason not to wait for them."""
        for number in range(200):
            self.gathering.answered(2, float(number))
            if self.gathering.should_wait(float(number)):
                self.lull()
        for number in range(200, 2_000):
            self.gathering.answered(2, float(number))
            self.gathering.arrived(2, number + 0.001)
        self.gathering.answered(2, 3_000.0)
        self.lull()
        waits = []
        for number in range(3_001, 3_010):
            self.gathering.answered(2, float(number))
            waits.append(self.gathering.should_wait(float(number)))
        self.assertIn(True, waits)


class GatewayGathersTests(SynchronousTestCase):
    """What the gateway makes of it."""

    def setUp(self) -> None:
        self.node = OneGateway()

    def answer_two(self) -> None:
        """Connections 1 and 2 were answered together a moment ago."""
        self.node.give(requests(1, put("x")), requests(2, put("x")))
        self.node.batches()
        self.node.applied(1, OK, OK)
        self.node.answers()

    def test_two_groups_become_one(self) -> None:
        """Connection 3, which waited meanwhile, travels with the two that were answered: half as many batches."""
        self.node = OneGateway(Limits(batches_outstanding_max=1))
        self.node.give(requests(1, put("x")), requests(2, put("x")))
        self.node.give(requests(3, put("y")))
        self.node.batches()
        self.node.applied(1, OK, OK)
        self.node.give(requests(1, put("y")))
        self.assertEqual(self.node.batches(), [])
        self.node.give(requests(2, put("z")))
        ((_, number, entries),) = self.node.batches()
        self.assertEqual((number, entries), (2, [put("y"), put("y"), put("z")]))

    def test_a_lull_ends_the_wait(self) -> None:
        """A client that was answered and has gone costs the others a moment, not their requests."""
        self.answer_two()
        self.node.give(requests(3, put("y")))
        self.node.wait(LULL_SECONDS)
        self.assertEqual([entries for _, _, entries in self.node.batches()], [[put("y")]])

    def test_much_goes_at_once(self) -> None:
        """A batch that is large already gains nothing by waiting."""
        self.answer_two()
        large = [put("y")] * (GATHERED_BYTES_MAX // 100 + 1)
        self.node.give(requests(3, *large))
        self.assertEqual([len(entries) for _, _, entries in self.node.batches()], [len(large)])

    def test_reads_share_a_barrier(self) -> None:
        """Each barrier is a round of messages between all nodes."""
        self.answer_two()
        self.node.give(requests(1, get("x")))
        self.assertEqual(self.node.barriers(), [])
        self.node.give(requests(2, get("x")))
        self.assertEqual(len(self.node.barriers()), 1)
        self.assertEqual(self.node.barriers(), [])

    def test_a_lone_client_never_waits(self) -> None:
        """It would be the slower for others who are not there."""
        for number in range(1, 20):
            self.node.give(requests(1, put("x")))
            self.assertEqual([seq for _, seq, _ in self.node.batches()], [number])
            self.node.applied(number, OK)
