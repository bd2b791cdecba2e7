"""The gateway in classic mode: no leader answers for barriers, so reads wait for a batch of their own node."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import ReadResults
from dkv.gateway.gathering import LULL_SECONDS
from dkv.replies import OK
from dkv.settings import Limits
from tests.gateway.one_gateway import OneGateway, get, here, put, requests

OWN = here("proposer")


class NoopReadTests(SynchronousTestCase):
    """A client reads the past if one of these fails."""

    def setUp(self) -> None:
        self.node = OneGateway(classic=True)

    def results(self, *values: bytes) -> None:
        """The learner has evaluated the newest read."""
        self.node.give(ReadResults(self.node.reads[-1].number, list(values)), sender=here("learner"))

    def test_a_read(self) -> None:
        """It numbers a batch without entries, for this node's own proposer, and is evaluated when that was applied."""
        self.node.give(requests(1, get("k")))
        self.assertEqual(self.node.batches(), [(OWN, 1, [])])
        self.assertEqual((self.node.barriers(), self.node.reads), ([], []))
        self.node.applied(1)
        (read,) = self.node.reads
        self.assertEqual((read.through, read.entries), (0, [get("k")]))
        self.results(b"v")
        self.assertEqual(self.node.answers(), [(1, [b"v"])])

    def test_many_reads_share_a_batch(self) -> None:
        """A slot of its own for each read would make reads as dear as writes."""
        self.node.give(requests(1, get("a")), requests(2, get("b")), requests(3, get("c")))
        self.assertEqual(self.node.batches(), [(OWN, 1, [])])
        self.node.applied(1)
        self.assertEqual(self.node.reads[0].entries, [get("a"), get("b"), get("c")])

    def test_a_later_read_waits_for_a_later_batch(self) -> None:
        """The batch under way may have its slot before a write that was acknowledged just now."""
        self.node.give(requests(1, get("a")))
        self.node.give(requests(2, get("b")))
        self.assertEqual(self.node.batches(), [(OWN, 1, []), (OWN, 2, [])])
        self.node.applied(1)
        self.assertEqual([read.entries for read in self.node.reads], [[get("a")]])
        self.results(b"1")
        self.assertEqual(len(self.node.reads), 1)
        self.node.applied(2)
        self.assertEqual([read.entries for read in self.node.reads], [[get("a")], [get("b")]])

    def test_a_batch_of_writes_will_do(self) -> None:
        """Any batch numbered after the read arrived serves; so reads are not kept out by writes either."""
        self.node = OneGateway(Limits(batches_outstanding_max=1), classic=True)
        self.node.give(requests(1, put("x")), requests(2, get("a")))
        self.assertEqual(self.node.batches(), [(OWN, 1, [put("x")])])
        self.node.give(requests(3, get("b")), requests(4, put("y")))
        self.assertEqual(self.node.batches(), [])
        self.node.applied(1, OK)
        self.assertEqual(self.node.reads[0].entries, [get("a")])
        self.node.wait(LULL_SECONDS)
        self.assertEqual(self.node.batches(), [(OWN, 2, [put("y")])])
        self.node.applied(2, OK)
        self.results(b"1")
        self.assertEqual(self.node.reads[1].entries, [get("b")])

    def test_sent_again(self) -> None:
        """A numbered batch must be applied, or all later ones are never next: reads' batches are no exception."""
        self.node.give(requests(1, get("k")))
        self.node.batches()
        self.node.wait(2.0)
        self.assertIn((OWN, 1, []), self.node.batches())

    def test_no_majority(self) -> None:
        """A read is refused in time, whether it has a batch or not, and the refusal speaks of no leader."""
        self.node.give(requests(1, get("k")))
        self.node.leader(0)
        self.node.give(requests(2, get("k")))
        self.node.wait(6.0)
        self.assertEqual(self.node.batches(), [(OWN, 1, []), (OWN, 1, [])][:1])
        answers = self.node.answers()
        self.assertEqual(sorted(connection for connection, _ in answers), [1, 2])
        for _, (reply,) in answers:
            self.assertTrue(reply.text.startswith("TRYAGAIN no majority answered within 5 s"), reply)

    def test_refused_reads_are_not_evaluated_later(self) -> None:
        """Their batch is applied all the same."""
        self.node.give(requests(1, get("k")))
        self.node.wait(6.0)
        self.assertEqual(self.node.words(), [(1, ["TRYAGAIN"])])
        self.node.applied(1)
        self.assertEqual((self.node.reads, self.node.answers()), ([], []))

    def test_order_of_a_connection(self) -> None:
        """A read behind a write of its connection rides in the batch, as in leader mode."""
        self.node.give(requests(1, put("k"), get("k")))
        self.assertEqual(self.node.batches(), [(OWN, 1, [put("k"), get("k")])])
        self.node.applied(1, OK, b"v")
        self.assertEqual(self.node.answers(), [(1, [OK, b"v"])])
