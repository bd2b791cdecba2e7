"""A read that looks through many keys holds up its own connection and nobody else."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import LEARNER, SURVEYOR
from dkv.client_events import ClientGone, ReadResults, RepliesUnread, Survey, Surveyed, SurveyOver
from dkv.gateway import surveys
from dkv.kv.codes import KEYS
from dkv.messages import Barrier
from dkv.records import Entry
from dkv.replies import OK, TOO_LONG, EncodedList, Local
from tests.gateway.one_gateway import IDENTITY, NODE_2, OneGateway, get, here, keys_alone, put, requests

ENTRY: Entry = [KEYS, 0, 0, b"*"]
FOUND = Local(EncodedList(1, (b"$1\r\nk\r\n",)))


class SurveyTests(SynchronousTestCase):
    """The gateway of node 1, whose leader is node 2."""

    def setUp(self) -> None:
        self.node = OneGateway()
        self.barrier = 0

    def evaluate(self, *results: Any, through: int = 9) -> None:
        """The leader answers for a barrier, and the learner evaluates the next group of reads."""
        self.node.wait(0.01)  # for those that were answered a moment ago and may ask again
        [(_, self.barrier)] = self.node.barriers() or [(NODE_2, 0)]
        if self.barrier:
            self.node.give(Barrier(IDENTITY.boot, self.barrier, through), sender=NODE_2)
        read = self.node.reads.pop(0)
        self.node.give(ReadResults(read.number, list(results), through), sender=here(LEARNER))

    def begin(self, connection: int = 5) -> None:
        """A client asks for all keys, which are too many."""
        self.node.give(keys_alone(connection))
        self.evaluate(TOO_LONG)

    def surveyed(self, number: int, reply: Local = FOUND) -> None:
        """The surveyor answers."""
        self.node.give(Surveyed(number, reply), sender=here(SURVEYOR))

    def test_an_answer(self) -> None:
        """The surveyor is told from which slot on the answer counts: an earlier one would be stale."""
        self.begin()
        self.assertEqual(self.node.surveys, [Survey(1, ENTRY, 9)])
        self.assertEqual(self.node.answers(), [])
        self.surveyed(1)
        self.assertEqual(self.node.answers(), [(5, [FOUND])])

    def test_few_keys(self) -> None:
        """What the learner could answer at once needs nobody else."""
        self.node.give(keys_alone(5))
        self.evaluate([b"k"])
        self.assertEqual((self.node.answers(), self.node.surveys), ([(5, [[b"k"]])], []))

    def test_not_alone(self) -> None:
        """Among other requests of its message it stays the error that says what to do: their order is kept."""
        self.node.give(requests(5, get("a"), get("b")))
        self.evaluate(TOO_LONG, b"b")
        self.assertEqual((self.node.answers(), self.node.surveys), ([(5, [TOO_LONG, b"b"])], []))

    def test_others_go_on(self) -> None:
        """Reads of other clients wait for the one group that they are in, never for a survey."""
        self.node.give(keys_alone(5), requests(6, get("a")))
        self.evaluate(TOO_LONG)
        self.evaluate(b"a")
        self.assertEqual(self.node.answers(), [(6, [b"a"])])

    def test_its_connection_waits(self) -> None:
        """What a client sends behind it takes effect behind it, and what it sent before takes effect before."""
        self.node.give(requests(5, put("k")), keys_alone(5), requests(5, get("k")), requests(5, put("l")))
        self.node.applied(1, OK)
        self.assertEqual(self.node.answers(), [(5, [OK])])
        self.evaluate(TOO_LONG)
        self.assertEqual((self.node.barriers(), len(self.node.batches())), ([], 1))
        self.surveyed(1)
        self.assertEqual(self.node.answers(), [(5, [FOUND])])
        self.evaluate(b"v")
        self.node.applied(2, OK)
        self.assertEqual(self.node.answers(), [(5, [b"v"]), (5, [OK])])

    def test_one_at_a_time(self) -> None:
        """Each takes memory and time: the next one begins when the one before is answered."""
        self.begin(5)
        self.begin(6)
        self.assertEqual(self.node.surveys, [Survey(1, ENTRY, 9)])
        self.surveyed(1)
        self.assertEqual(self.node.surveys[1:], [Survey(2, ENTRY, 9)])
        self.surveyed(2)
        self.assertEqual(self.node.answers(), [(5, [FOUND]), (6, [FOUND])])

    def test_too_many(self) -> None:
        """A bounded number waits: the next client is told so, and has lost nothing."""
        self.patch(surveys, "SURVEYS_MAX", 2)
        for connection in (5, 6, 7):
            self.begin(connection)
        self.assertEqual(self.node.words(), [(7, ["TRYAGAIN"])])

    def test_a_client_that_goes(self) -> None:
        """The surveyor must not work for nobody, while others wait."""
        self.begin(5)
        self.begin(6)
        self.begin(7)
        self.node.give(ClientGone(6), ClientGone(5))
        self.assertEqual(self.node.surveys[1:], [SurveyOver(1), Survey(2, ENTRY, 9)])
        self.surveyed(1, Local(EncodedList(0, ())))  # it was on its way
        self.surveyed(2)
        self.assertEqual(self.node.answers(), [(7, [FOUND])])

    def test_too_slow(self) -> None:
        """No client waits for longer than request_seconds, and the error says what to do instead."""
        self.begin(5)
        self.begin(6)
        self.node.give(requests(5, get("k")))
        self.node.wait(self.node.timings.request_seconds * 1.1)
        self.assertIn((6, [surveys.TOO_SLOW]), answers := self.node.answers())
        self.assertEqual(answers[0], (5, [surveys.TOO_SLOW]))
        self.assertIn(SurveyOver(1), self.node.surveys)
        self.assertIsInstance(self.node.surveys[-1], SurveyOver)

    def test_replies_unread(self) -> None:
        """While clients do not read what was made for them, nothing large is made for others."""
        self.begin(5)
        self.begin(6)
        self.node.give(RepliesUnread(True))
        self.surveyed(1)
        self.assertEqual(self.node.surveys[1:], [])
        self.node.give(RepliesUnread(False))
        self.assertEqual(self.node.surveys[1:], [Survey(2, ENTRY, 9)])
