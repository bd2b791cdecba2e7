"""Transactions of the client for Twisted: on a connection of their own, and executed once."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError

from dkv.client import Contended, Unavailable, Unknown
from dkv.client.blocking import Endpoint
from tests.client.fake_wires import ClientTests

A, B = Endpoint("a", 1), Endpoint("b", 1)


class TransactionTests(ClientTests):
    def setUp(self) -> None:
        super().setUp()
        self.calls: list[bytes | None] = []

    def add_one(self, tx: Any, value: bytes | None) -> None:
        """The function of the transaction."""
        self.calls.append(value)
        tx.set("k", int(value or 0) + 1)

    def watched(self, value: bytes) -> None:
        """The node answers WATCH and MGET; the EXEC comes in the same turn."""
        self.wire = self.wires.accept()
        self.assertEqual(self.wire.words(), [b"WATCH k", b"MGET k"])
        self.wire.say(b"+OK\r\n*1\r\n$%d\r\n%b\r\n" % (len(value), value))
        self.exec = self.wire.received()
        self.assertEqual([words[0] for words in self.exec], [b"MULTI", b"SET", b"IDMP"])

    def test_beside_other_requests(self) -> None:
        """It has a connection of its own: another EXEC would forget what is watched."""
        other = self.client.get("other")
        self.wires.accept().received()
        result = self.client.transaction(self.add_one, "k")
        self.watched(b"7")
        self.wire.say(b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
        self.assertEqual(self.successResultOf(result), [True])
        self.assertEqual(self.calls, [b"7"])
        self.assertNoResult(other.addErrback(lambda failure: None))

    def test_changed_meanwhile(self) -> None:
        """The function is called again, with the value of now."""
        result = self.client.transaction(self.add_one, "k")
        self.watched(b"7")
        self.wire.say(b"+OK\r\n+QUEUED\r\n*-1\r\n")
        self.assertEqual(self.wire.words(), [b"WATCH k", b"MGET k"])
        self.wire.say(b"+OK\r\n*1\r\n$1\r\n8\r\n")
        self.assertEqual(self.wire.words(), [b"MULTI", b"SET k 9", b"EXEC"])
        self.wire.say(b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
        self.successResultOf(result)
        self.assertEqual(self.calls, [b"7", b"8"])

    def test_contended(self) -> None:
        """It ends some time, and nothing of it was executed."""
        result = self.client.transaction(self.add_one, "k")
        self.watched(b"7")
        for _ in range(14):
            self.clock.advance(0.7)
            self.wire.say(b"+OK\r\n+QUEUED\r\n*-1\r\n")
            self.assertEqual(self.wire.words(), [b"WATCH k", b"MGET k"])
            self.assertNoResult(result)
            if self.clock.seconds() < 9.5:
                self.wire.say(b"+OK\r\n*1\r\n$1\r\n8\r\n")
                self.wire.received()
        self.clock.advance(0.7)
        self.failureResultOf(result, Contended)

    def lose_the_answer(self) -> None:
        """Nobody knows whether the EXEC was executed: the next node is asked with a fence."""
        token = self.exec[-1][1:3]
        self.wire.end()
        self.wire = self.wires.accept()
        self.assertEqual(self.wire.received(), [[b"MULTI"], [b"IDMP", *token, b"EXEC"]])
        self.wire.say(b"+OK\r\n")

    def test_executed_and_not_answered(self) -> None:
        """It is not executed again: the same EXEC gets its answer."""
        result = self.client.transaction(self.add_one, "k")
        self.watched(b"7")
        self.lose_the_answer()
        self.wire.say(b"-IDMPMISMATCH it was used\r\n")
        self.assertEqual(self.wire.received(), [[b"WATCH", b"k"], *self.exec])
        self.wire.say(b"+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
        self.assertEqual(self.successResultOf(result), [True])
        self.assertEqual(self.calls, [b"7"])

    def test_not_executed_and_not_answered(self) -> None:
        """It never will be, and all begins again, with a value that is not older than that."""
        result = self.client.transaction(self.add_one, "k")
        self.watched(b"7")
        self.lose_the_answer()
        self.wire.say(b":0\r\n")
        self.assertEqual(self.wire.words(), [b"WATCH k", b"MGET k"])
        self.wire.say(b"+OK\r\n*1\r\n$1\r\n8\r\n")
        again = self.wire.received()
        self.assertNotEqual(again[-1][1:3], self.exec[-1][1:3])
        self.wire.say(b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
        self.successResultOf(result)
        self.assertEqual(self.calls, [b"7", b"8"])

    def test_nobody_knows(self) -> None:
        """The answer is forgotten: the program is told that it may have been executed."""
        for answers in ([b"-IDMPOLD no\r\n"], [b"-IDMPMISMATCH used\r\n", b"+OK\r\n+OK\r\n+QUEUED\r\n-IDMPOLD no\r\n"]):
            client = self.make()
            result = client.transaction(self.add_one, "k")
            self.watched(b"7")
            self.lose_the_answer()
            for answer in answers:
                self.wire.say(answer)
                self.wire.received()
            self.failureResultOf(result, Unknown)
            client.close()

    def test_connection_lost_between(self) -> None:
        """What was read may not be true any more where the next connection leads."""
        result = self.client.transaction(self.add_one, "k")
        wire = self.wires.accept()
        wire.received()
        wire.say(b"+OK\r\n")
        wire.end()
        self.watched(b"7")
        self.wire.say(b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
        self.successResultOf(result)

    def test_an_exception(self) -> None:
        """The keys must not be watched by the next transaction on that connection."""
        result = self.client.transaction(lambda tx, value: 1 // 0, "k")
        wire = self.wires.accept()
        wire.received()
        wire.say(b"+OK\r\n*1\r\n$1\r\n7\r\n")
        self.failureResultOf(result, ZeroDivisionError)
        self.assertTrue(wire.transport.aborted)

    def test_cancelled(self) -> None:
        """The next transaction has another connection."""
        result = self.client.transaction(self.add_one, "k")
        self.watched(b"7")
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertTrue(self.wire.transport.aborted)

    def test_one_at_a_time(self) -> None:
        """There are no more connections than the program has allowed."""
        client = self.make(connections=1)
        first, second = client.transaction(self.add_one, "k"), client.transaction(self.add_one, "k")
        self.watched(b"7")
        self.wire.say(b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
        self.successResultOf(first)
        self.assertEqual(self.wire.words(), [b"WATCH k", b"MGET k"])
        third = client.transaction(self.add_one, "k")
        self.clock.pump([1.0] * 10)
        self.failureResultOf(second, Unavailable)
        self.failureResultOf(third, Unavailable)
        client.close()

    def test_no_connection_left(self) -> None:
        """It says that the program has more under way than it has allowed."""
        client = self.make(connections=1)
        client._free.acquire()
        result = client.transaction(self.add_one, "k")
        self.clock.advance(10.0)
        self.assertEqual(self.failureResultOf(result, Unavailable).value.word, "BACKLOG")
        client.close()
