"""Several requests at once on one connection: all answered, or nobody knows which were executed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.blocking import NoAnswer, NotSent
from dkv.replies import Error
from tests.client.fakes import FarEnd

REQUESTS = [(b"SET", b"a", b"1"), (b"GET", b"b"), (b"DEL", b"a")]
ENCODED = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"


class PipelineTests(SynchronousTestCase):
    def end(self, *answers: bytes, closes: bool = False) -> FarEnd:
        end = FarEnd(*answers, closes=closes)
        self.addCleanup(end.close)
        return end

    def test_in_order(self) -> None:
        """An error is the answer to its request alone, and the connection goes on."""
        end = self.end(b"+OK\r\n-ERR no\r\n:1\r\n", b"+OK\r\n$-1\r\n:0\r\n")
        self.assertEqual(end.connection.call_all(REQUESTS), ["OK", Error("ERR no"), 1])
        self.assertEqual(end.received(), ENCODED)
        self.assertEqual(end.connection.call_all(REQUESTS), ["OK", None, 0])

    def test_lost_in_the_middle(self) -> None:
        """Some may have been executed, so the caller must not take any for undone; nothing more is sent."""
        end = self.end(b"+OK\r\n", closes=True)
        self.assertRaises(NoAnswer, end.connection.call_all, REQUESTS)
        self.assertRaises(NotSent, end.connection.call_all, REQUESTS)

    def test_lost_before(self) -> None:
        """Nothing was executed."""
        end = self.end(closes=True)
        end.connection.abandon()
        self.assertRaises(NotSent, end.connection.call_all, REQUESTS)
        end = self.end()
        end.say(b"+OK\r\n")
        self.assertRaises(NotSent, end.connection.call_all, REQUESTS)
        self.assertEqual(end.received(), b"")
