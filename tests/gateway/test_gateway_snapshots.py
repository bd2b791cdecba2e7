"""A snapshot stands for slots in which this node's own batches took effect: their results are not known here."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import Passed
from dkv.messages import Barrier, Want
from dkv.replies import OK
from dkv.settings import Limits
from tests.gateway.one_gateway import IDENTITY, NODE_2, OneGateway, append, get, here, put, requests


class PassedTests(SynchronousTestCase):
    """A client is told neither that its write is done nor that it is not, unless somebody knows."""

    def setUp(self) -> None:
        self.node = OneGateway()

    def passed(self, seq: int) -> None:
        """The learner has put a snapshot in force."""
        self.node.give(Passed(seq), sender=here("learner"))

    def test_writes_and_reads(self) -> None:
        """A write of unknown outcome, and reads that are harmless to repeat; the order of replies stays."""
        self.node.give(requests(1, append("a", "x")), requests(2, put("b"), get("b"), put("c")))
        self.passed(1)
        self.assertEqual(self.node.words(), [(1, ["UNCERTAIN"]), (2, ["UNCERTAIN", "TRYAGAIN", "UNCERTAIN"])])
        refused = [fields for event, fields in self.node.turn.measures if event == "refused"]
        self.assertEqual([fields["count"] for fields in refused], [1, 3])
        self.assertIn(("batch_passed", {"commands": 4}), self.node.turn.measures)

    def test_only_those(self) -> None:
        """A batch behind the snapshot takes effect here, with results; it is the oldest one now."""
        self.node.give(requests(1, put("a")))
        self.node.give(requests(2, put("b")))
        self.node.give(requests(3, put("c")))
        self.node.batches()
        self.passed(2)
        self.assertEqual(self.node.words(), [(1, ["UNCERTAIN"]), (2, ["UNCERTAIN"])])
        self.node.applied(3, OK)
        self.assertEqual(self.node.answers(), [(3, [OK])])

    def test_those_that_were_answered(self) -> None:
        """A batch that was applied here before is not answered again, nor is anybody who has waited too long."""
        self.node.give(requests(1, put("a")))
        self.node.applied(1, OK)
        self.node.give(requests(1, put("b")))
        self.node.wait(6.0)
        self.node.answers()
        self.passed(2)
        self.assertEqual(self.node.answers(), [])

    def test_b28_not_sent_again(self) -> None:
        """They took effect: what follows them is next, and a leader that wants an earlier one is behind."""
        self.node.give(requests(1, put("a")))
        self.passed(1)
        self.node.give(requests(2, put("b")))
        self.assertEqual([seq for _, seq, _ in self.node.batches()], [1, 2])
        self.node.give(Want(IDENTITY.boot, 1))
        self.assertEqual(self.node.batches(), [])
        self.node.leader(2)
        self.assertEqual(self.node.batches(), [(NODE_2, 2, [put("b")])])

    def test_what_waited_goes_on(self) -> None:
        """Requests that waited for the batches under way are numbered now."""
        self.node = OneGateway(Limits(batches_outstanding_max=1))
        self.node.give(requests(1, put("a")))
        self.node.give(requests(2, put("b")))
        self.node.batches()
        self.passed(1)
        self.node.wait(0.1)
        self.assertEqual(self.node.batches(), [(NODE_2, 2, [put("b")])])

    def test_nothing_under_way(self) -> None:
        """A snapshot concerns nobody who waits for nothing."""
        self.passed(5)
        self.node.give(requests(1, get("k")))
        self.node.give(Barrier(IDENTITY.boot, 1, 0))
        self.assertEqual((self.node.words(), len(self.node.reads)), ([], 1))

    def test_classic_barriers(self) -> None:
        """A read waits for a batch of its own node to take effect, and it has: what is applied now is enough."""
        self.node = OneGateway(classic=True)
        self.node.give(requests(1, get("a")))
        self.node.give(requests(2, put("b"), get("b")))
        self.node.batches()
        self.passed(2)
        self.assertEqual(self.node.words(), [(2, ["UNCERTAIN", "TRYAGAIN"])])
        self.assertEqual([(read.through, read.entries) for read in self.node.reads], [(0, [get("a")])])
