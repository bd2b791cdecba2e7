"""A numbered batch is neither lost nor changed nor sent too often."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import Requests
from dkv.gateway.batches import Batches
from dkv.gateway.runs import Run
from dkv.messages import Submit
from dkv.records import Batch
from dkv.settings import Limits
from dkv.wire.codec import encode_entries
from tests.gateway.one_gateway import IDENTITY, SIZE, put

OUTSTANDING_MAX = 3
LIMITS = Limits(batches_outstanding_max=OUTSTANDING_MAX, batches_overtaking_bytes_min=2 * SIZE)


def run(name: str) -> Run:
    """One write, of ``SIZE`` bytes."""
    return Run(Requests(1, [put(name)], 1, 0, SIZE), 0.0)


class BatchesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.batches = Batches(IDENTITY, LIMITS, encode_entries)

    def number(self, count: int, now: float = 0.0) -> None:
        """Number batches of one write each."""
        for _ in range(count):
            self.batches.number([run("k")], 0, now)

    def again(self, from_seq: int, now: float = 0.0) -> list[int]:
        """The numbers that are sent again."""
        submits = list(self.batches.send_again(from_seq, now))
        self.assertTrue(all(isinstance(submit, Submit) and len(submit.batches) == 1 for submit in submits))
        return [submit.batches[0].seq for submit in submits]

    def test_numbers_and_bytes(self) -> None:
        """Each has the next number of this life, and the entries of its runs in their order."""
        first = self.batches.number([run("a"), run("b")], 0, 7.0)
        second = self.batches.number([], 5, 8.0)
        blobs = [encode_entries([put("a"), put("b")]), encode_entries([])]
        self.assertEqual(
            [first.batch, second.batch],
            [Batch(IDENTITY.node, IDENTITY.incarnation, IDENTITY.boot, seq, blob) for seq, blob in enumerate(blobs, 1)],
        )
        self.assertEqual((first.entries, first.barrier, first.numbered_at), (2, 0, 7.0))
        self.assertEqual((second.entries, second.barrier, second.numbered_at), (0, 5, 8.0))

    def test_one_beside_another(self) -> None:
        """The first goes at once; beside it only what is worth a batch, and never more than the limit."""
        few, enough = [run("a")], [run("a"), run("b")]
        self.assertTrue(self.batches.may_number(few))
        self.number(1)
        self.assertEqual((self.batches.may_number(few), self.batches.may_number(enough)), (False, True))
        self.number(OUTSTANDING_MAX - 1)
        self.assertTrue(self.batches.are_many)
        self.assertFalse(self.batches.may_number(enough))

    def test_applied_in_order(self) -> None:
        """Another number than the oldest is a mistake of this node: an answer would go to the wrong client (B16)."""
        self.number(3)
        for wrong in (2, 0):
            batches = Batches(IDENTITY, LIMITS, encode_entries)
            batches.number([run("k")], 0, 0.0)
            self.assertRaises(AssertionError, batches.applied, wrong)
        self.assertEqual([self.batches.applied(seq).batch.seq for seq in (1, 2, 3)], [1, 2, 3])

    def test_is_applied(self) -> None:
        """What is asked for and is gone already would be refused again, and asked for again, without end."""
        self.assertTrue(self.batches.is_applied(1))
        self.number(2)
        self.batches.applied(1)
        self.assertEqual([self.batches.is_applied(seq) for seq in (1, 2, 3)], [True, False, False])

    def test_sent_again(self) -> None:
        """From there on, in order: a later one alone is never next."""
        self.number(3)
        self.assertEqual([self.again(seq) for seq in (1, 2, 3, 4)], [[1, 2, 3], [2, 3], [3], []])

    def test_waited(self) -> None:
        """It is sent again after a while, counted from the last time; and not while nothing is under way."""
        self.assertFalse(self.batches.waited(1.0, 100.0))
        self.number(1, now=10.0)
        self.assertEqual([self.batches.waited(1.0, now) for now in (10.5, 11.0, 12.0)], [False, True, True])
        self.again(1, now=11.0)
        self.assertEqual([self.batches.waited(1.0, now) for now in (11.5, 12.0)], [False, True])
