"""The client for Twisted on a clock and on connections that lead to the test."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from dkv.client import Rejected, Unavailable, Unknown, twisted
from dkv.client.blocking import Endpoint
from tests.client.fake_wires import ClientTests

A, B = Endpoint("a", 1), Endpoint("b", 1)


class RequestTests(ClientTests):
    def test_many_at_once(self) -> None:
        """It connects when there is something to send; one request tries the node, then all others go together."""
        self.clock.advance(1.0)
        self.assertEqual(self.wires.asked, [])
        results = [self.client.incr("n") for _ in range(5)]
        wire = self.wires.accept()
        self.assertEqual(wire.words(), [b"INCRBY n 1"])
        wire.say(b":1\r\n")
        self.assertEqual(wire.words(), [b"INCRBY n 1"] * 4)
        wire.say(b":2\r\n:3\r\n:")
        wire.say(b"4\r\n-ERR no\r\n")
        self.assertEqual([self.successResultOf(result) for result in results[:4]], [1, 2, 3, 4])
        self.assertEqual(self.failureResultOf(results[4], Rejected).value.word, "ERR")
        self.assertEqual(self.wires.asked, [A])

    def test_from_within_a_callback(self) -> None:
        """A program goes on when it has a result."""
        second: Deferred[Any] = self.client.get("a").addCallback(lambda value: self.client.set("b", value or b""))
        wire = self.wires.accept()
        wire.received()
        wire.say(b"$1\r\nx\r\n")
        self.assertEqual(wire.words(), [b"SET b x"])
        wire.say(b"+OK\r\n")
        self.assertTrue(self.successResultOf(second))

    def test_sent_again(self) -> None:
        """The node dies after it has taken a write: the next one gets the same bytes, token and all."""
        result = self.client.incr("n")
        first = self.wires.accept()
        (request,) = first.received()
        first.end()
        self.assertNoResult(result)
        second = self.wires.accept()
        self.assertEqual(second.endpoint, B)
        self.assertEqual(second.received(), [request])
        self.assertEqual(request[0], b"IDMP")
        second.say(b":1\r\n")
        self.assertEqual(self.successResultOf(result), 1)

    def test_refused_for_the_moment(self) -> None:
        """A node that has no leader is left for the next one; a program sees neither."""
        result = self.client.get("k")
        first = self.wires.accept()
        first.received()
        first.say(b"-TRYAGAIN no leader\r\n")
        self.assertTrue(first.transport.aborted)
        second = self.wires.accept()
        self.assertEqual(second.words(), [b"GET k"])
        second.say(b"$1\r\nv\r\n")
        self.assertEqual(self.successResultOf(result), b"v")

    def test_a_silent_node(self) -> None:
        """It is frozen, perhaps: the next is asked after a second, and is given two, as the request may take long."""
        result = self.client.get("k")
        for seconds in (1.0, 2.0, 4.0):
            wire = self.wires.accept()
            self.assertEqual(wire.words(), [b"GET k"])
            self.clock.advance(seconds - 0.01)
            self.assertFalse(wire.transport.aborted)
            self.clock.advance(0.02)
            self.assertTrue(wire.transport.aborted)
            self.clock.advance(0.1)  # the pause between two rounds
        wire = self.wires.accept()
        wire.received()
        wire.say(b"$-1\r\n")
        self.assertIsNone(self.successResultOf(result))

    def test_nobody_there(self) -> None:
        """After its time the request fails, and says why."""
        result = self.client.set("k", "v")
        for _ in range(400):
            self.clock.advance(0.025)
            while self.wires._dialled:
                self.wires.refuse()
        self.clock.advance(0.1)
        failure = self.failureResultOf(result, Unavailable).value
        self.assertEqual(failure.word, "UNREACHABLE")
        self.assertIn("cannot connect to a:1: Connection was refused", str(failure))
        self.assertLess(len(self.wires.asked), 60)

    def test_no_answer(self) -> None:
        """A write that was sent, and never answered, may have been executed; a read cannot."""
        write, read = self.client.set("k", "v"), self.client.get("k")
        for _ in range(110):
            self.clock.advance(0.1)
            while self.wires._dialled:
                self.wires.accept().received()
        self.assertEqual(self.failureResultOf(write, Unknown).value.word, "NO_ANSWER")
        self.failureResultOf(read, Unavailable)

    def test_not_in_resp(self) -> None:
        """Something else listens there."""
        result = self.client.get("k")
        wire = self.wires.accept()
        wire.received()
        wire.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertTrue(wire.transport.aborted)
        wire = self.wires.accept()
        wire.received()
        wire.say(b"$-1\r\n")
        self.assertIsNone(self.successResultOf(result))
        wire.say(b"+OK\r\n")  # which nobody asked for, so it must not be the answer to the next request
        self.assertTrue(wire.transport.aborted)

    def test_lost_while_idle(self) -> None:
        """It is not connected again before it is needed."""
        result = self.client.get("k")
        wire = self.wires.accept()
        wire.received()
        wire.say(b"$-1\r\n")
        self.successResultOf(result)
        wire.end()
        self.clock.advance(5.0)
        self.assertEqual(self.wires.asked, [A])
        self.client.get("k").addErrback(lambda failure: None)
        self.clock.advance(0.0)
        self.assertEqual(self.wires.asked, [A, B])

    def test_members_are_learnt(self) -> None:
        """All nodes that were named may be gone: the others are asked."""
        self.wires.members = json.dumps({"members": [{"kind": "voter", "becomes": None, "client": "c:3"}]}).encode()
        self.client.get("k").addErrback(lambda failure: None)
        wire = self.wires.accept()
        wire.received()
        for _ in range(2):
            wire.end()
            self.clock.advance(0.1)
            wire = self.wires.accept()
        wire.end()
        self.clock.advance(0.1)
        self.assertIn(Endpoint("c", 3), self.wires.asked)


class ScanTests(ClientTests):
    def test_the_node_dies(self) -> None:
        """The cursor means nothing to the next node: it begins anew there, and no key comes twice."""

        async def all_keys() -> list[bytes]:
            return [key async for key in self.client.scan("k*", count=2)]

        result = Deferred.fromCoroutine(all_keys())
        wire = self.wires.accept()
        self.assertEqual(wire.words(), [b"SCAN 0 MATCH k* COUNT 2"])
        wire.say(b"*2\r\n$1\r\n7\r\n*2\r\n$2\r\nk1\r\n$2\r\nk2\r\n")
        self.assertEqual(wire.words(), [b"SCAN 7 MATCH k* COUNT 2"])
        wire.end()
        wire = self.wires.accept()
        self.assertEqual(wire.words(), [b"SCAN 0 MATCH k* COUNT 2"])
        wire.say(b"*2\r\n$1\r\n0\r\n*2\r\n$2\r\nk2\r\n$2\r\nk3\r\n")
        self.assertEqual(self.successResultOf(result), [b"k1", b"k2", b"k3"])
        self.assertTrue(wire.transport.aborted)


class BoundsTests(ClientTests):
    def test_cancelled(self) -> None:
        """What was not sent never is; what was sent is not sent again."""
        sent, unsent = self.client.incr("sent"), self.client.incr("unsent")
        wire = self.wires.accept()
        self.assertEqual(wire.words(), [b"INCRBY sent 1"])
        for result in (sent, unsent):
            result.cancel()
            self.failureResultOf(result, CancelledError)
        third = self.client.incr("third")
        wire.end()
        wire = self.wires.accept()
        self.assertEqual(wire.words(), [b"INCRBY third 1"])
        wire.say(b":1\r\n")
        self.assertEqual(self.successResultOf(third), 1)

    def test_cancelled_and_answered(self) -> None:
        """The answer belongs to the request that was cancelled, and to no other."""
        first, second = self.client.incr("n"), self.client.get("k")
        wire = self.wires.accept()
        wire.received()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        wire.say(b":1\r\n")
        wire.received()
        wire.say(b"$1\r\nv\r\n")
        self.assertEqual(self.successResultOf(second), b"v")

    def test_backlog(self) -> None:
        """A program that does not wait must not fill its memory; it is told, and can go on later."""
        self.patch(twisted, "BACKLOG_BYTES_MAX", 5000)
        results = [self.client.set("k", "v") for _ in range(5)]
        self.assertEqual(self.failureResultOf(results[4], Unavailable).value.word, "BACKLOG")
        wire = self.wires.accept()
        for _ in range(4):
            wire.received()
            wire.say(b"+OK\r\n")
        self.assertTrue(self.successResultOf(results[3]))
        self.assertNoResult(self.client.set("k", "v").addErrback(lambda failure: None))

    def test_closed(self) -> None:
        """What is under way fails, and the program may stop its reactor when the connection has ended."""
        sent, waiting = self.client.incr("n"), self.client.incr("n")
        wire = self.wires.accept()
        wire.received()
        closed = self.client.close()
        self.assertTrue(wire.transport.aborted)
        self.failureResultOf(sent, Unknown)
        self.failureResultOf(waiting, Unavailable)
        self.assertNoResult(closed)
        wire.end()
        self.assertIsNone(self.successResultOf(closed))
        self.assertEqual(self.failureResultOf(self.client.get("k"), Unavailable).value.word, "CLOSED")

    def test_closed_while_it_connects(self) -> None:
        """The connection that comes late is given up."""
        result = self.client.get("k")
        self.clock.advance(0.0)
        self.assertIsNone(self.successResultOf(self.client.close()))
        self.failureResultOf(result, Unavailable)

    def test_database(self) -> None:
        """No request is executed in another database: the node must have agreed first."""
        client = self.make(database=3)
        result = client.get("k")
        wire = self.wires.accept()
        self.assertEqual(wire.words(), [b"SELECT 3"])
        wire.say(b"-LOADING soon\r\n")
        self.assertTrue(wire.transport.aborted)
        silent = self.wires.accept()
        self.clock.advance(1.1)  # it says nothing
        self.assertTrue(silent.transport.aborted)
        self.clock.advance(0.1)
        wire = self.wires.accept()
        self.assertEqual(wire.words(), [b"SELECT 3"])
        wire.say(b"+OK\r\n")
        self.assertEqual(wire.words(), [b"GET k"])
        wire.say(b"$1\r\nv\r\n")
        self.assertEqual(self.successResultOf(result), b"v")
        client.close()
