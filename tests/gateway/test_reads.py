"""Reads on their way: each is evaluated once what its own barrier asks for is applied, and answered as itself."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import Read, ReadResults, Requests
from dkv.gateway import reads
from dkv.gateway.gathering import LULL_SECONDS
from dkv.gateway.reads import Reads
from dkv.gateway.runs import Run
from dkv.kv.codes import GET
from dkv.messages import Barrier
from tests.gateway.one_gateway import IDENTITY, NODE_2, OneGateway, get, requests


def run_of(connection: int) -> Run:
    """One read of a connection."""
    return Run(Requests(connection, [[GET, b"%d" % connection]], 0, 1, 20), 0.0)


class ReadQueueTests(SynchronousTestCase):
    """Two groups of reads whose barriers are answered before the first is evaluated."""

    def groups(self, first: int, second: int) -> tuple[Reads, Run, Run]:
        """A queue with two groups, whose barriers said ``first`` and ``second``."""
        queue, runs = Reads(), (run_of(1), run_of(2))
        for run in runs:
            queue.waiting.append(run)
            self.assertGreater(queue.ask(), 0)
        queue.barrier(1, first)
        queue.barrier(2, second)
        return queue, *runs

    def test_each_at_its_own_mark(self) -> None:
        """A read that waited for another's mark would be late, or stale, whichever leader told it."""
        for first, second in ((5, 9), (9, 5)):
            queue, one, two = self.groups(first, second)
            self.assertEqual(list(queue.under_way()), [one, two])
            self.assertEqual(queue.next_read(lambda run: False), Read(1, first, [[GET, b"1"]]))
            self.assertIsNone(queue.next_read(lambda run: False), "one at a time")
            self.assertEqual(queue.evaluated(1), [one])
            self.assertEqual(queue.next_read(lambda run: False), Read(2, second, [[GET, b"2"]]))
            self.assertEqual(queue.evaluated(2), [two])
            self.assertIsNone(queue.next_read(lambda run: False))

    def test_nobody_waits(self) -> None:
        """A group that nobody waits for any more is passed over, and no other with it."""
        queue, one, two = self.groups(5, 9)
        self.assertEqual(queue.next_read(lambda run: run is one), Read(1, 9, [[GET, b"2"]]))
        self.assertEqual(queue.evaluated(1), [two])

    def test_answers_to_earlier_requests(self) -> None:
        """An answer serves the requests up to its number; later ones arrived after the round that it comes from."""
        queue = Reads()
        for connection in (1, 2, 3):
            queue.waiting.append(run_of(connection))
            queue.ask()
        queue.barrier(2, 7)
        self.assertEqual(queue.asked, 3)
        self.assertEqual(queue.next_read(lambda run: False), Read(1, 7, [[GET, b"1"], [GET, b"2"]]))
        queue.evaluated(1)
        self.assertIsNone(queue.next_read(lambda run: False))


class BoundTests(SynchronousTestCase):
    """What the learner evaluates is in memory together, so it gets only so much to do."""

    def test_as_many_as_the_learner_can_take(self) -> None:
        """Reads beyond that wait without a barrier, and ask for one as soon as the learner has room again."""
        self.patch(reads, "READABLE_MAX", 1)
        node = OneGateway()
        node.give(requests(1, get("a")))
        node.give(Barrier(IDENTITY.boot, 1, 5), sender=NODE_2)
        node.give(requests(2, get("b")))
        self.assertEqual(node.barriers(), [(NODE_2, 1)])
        node.give(ReadResults(1, [b"v"]))
        node.wait(LULL_SECONDS)
        self.assertEqual(node.barriers(), [(NODE_2, 2)])
