"""The blocking client against nodes that answer what a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.client import Client, Contended, Rejected, Unavailable, Unknown, blocking_line, itinerary
from dkv.client.answers import AnswerParser, Incomplete
from dkv.client.blocking import Connection, Endpoint, NotSent
from tests.client.fakes import FarEnd

Words = list[bytes]
Behaviour = Callable[[Words], bytes | None]
"""What a node says to a request; None if it hangs up, b"" if it says nothing."""

LIST = [b"DKV.MEMBER", b"LIST"]


class FakeNode:
    """A node, which has a behaviour or is down. ``requests`` has what it was sent, but for the question for members."""

    def __init__(self) -> None:
        self.behaviour: Behaviour | None = lambda _: b"+OK\r\n"
        self.requests: list[Words] = []
        self.ends: list[FarEnd] = []

    def connect(self, endpoint: Endpoint) -> Connection:
        """A connection to it."""
        if self.behaviour is None:
            raise NotSent(f"cannot connect to {endpoint}: Connection refused")
        end = FarEnd(closes=False)
        end.connection.endpoint = endpoint
        parser = AnswerParser()
        self.ends.append(end)

        def on_sent() -> None:
            parser.feed(end.received())
            while not isinstance(request := parser.take(), Incomplete):
                assert isinstance(request, list)
                self._answer(end, [word for word in request if isinstance(word, bytes)])

        end.on_sent = on_sent
        return end.connection

    def _answer(self, end: FarEnd, words: Words) -> None:
        if words == LIST:
            end.say(b"-ERR no\r\n")
            return
        self.requests.append(words)
        said = self.behaviour(words) if self.behaviour is not None else None
        if said is None:
            end.on_sent = lambda: None
            end.hang_up()
        else:
            end.say(said)


class FrontTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.nodes = {name: FakeNode() for name in "ab"}
        self.patch(blocking_line, "connect", lambda endpoint, _, __: self.nodes[endpoint.host].connect(endpoint))
        self.patch(blocking_line, "sleep", lambda _: None)
        self.patch(itinerary, "PATIENCE_SECONDS", 60.0)  # a busy machine is no silent node
        self.addCleanup(self.close_all)

    def have_little_patience(self) -> None:
        """Leave a silent node soon."""
        self.patch(itinerary, "PATIENCE_SECONDS", 0.05)

    def close_all(self) -> None:
        for node in self.nodes.values():
            for end in node.ends:
                end.close()

    def client(self, **options: Any) -> Client:
        client = Client("a:1,b:1", **{"timeout": 5.0, **options})
        self.addCleanup(client.close)
        return client

    def script(self, name: str, *said: bytes | None) -> None:
        """What the node says to its next requests, and then to all."""
        left = list(said)
        self.nodes[name].behaviour = lambda _: left.pop(0) if len(left) > 1 else left[0]


class CallTests(FrontTests):
    def test_on_one_connection(self) -> None:
        """Calls one after another use the connection that there is."""
        client = self.client()
        self.assertTrue(client.set("a", 1))
        self.assertTrue(client.set("b", 2))
        self.assertEqual(len(self.nodes["a"].ends), 1)
        (_, producer, first, *_), (_, same, second, *_) = self.nodes["a"].requests
        self.assertEqual((producer, int(first) + 1), (same, int(second)))

    def test_sent_again(self) -> None:
        """The node dies after it has taken a write: the next one gets the same, token and all."""
        self.script("a", None)
        self.script("b", b":1\r\n")
        self.assertEqual(self.client().incr("n"), 1)
        self.assertEqual(self.nodes["a"].requests, self.nodes["b"].requests)

    def test_a_silent_node(self) -> None:
        """A frozen node is left soon."""
        self.have_little_patience()
        self.script("a", b"")
        self.script("b", b"$1\r\nv\r\n")
        self.assertEqual(self.client().get("k"), b"v")

    def test_it_hung_up_meanwhile(self) -> None:
        """It is seen before the request is on its way: even a write without a token is just sent elsewhere."""
        client = self.client()
        self.script("a", b"$-1\r\n")
        client.get("k")
        self.nodes["a"].ends[0].hang_up()
        self.assertEqual(client.execute("DKV.LEADER", "TRANSFER", 2), "OK")

    def test_what_was_not_asked_for(self) -> None:
        """It is not the answer to the next request."""
        client = self.client()
        self.script("a", b"$1\r\nv\r\n+OK\r\n")
        client.get("k")
        self.script("b", b"$1\r\nw\r\n")
        self.assertEqual(client.get("k"), b"w")

    def test_all_down(self) -> None:
        """It fails when its time is up, and says what each node did."""
        for node in self.nodes.values():
            node.behaviour = None
        failure = self.assertRaises(Unavailable, self.client(timeout=0.05).set, "k", "v")
        self.assertEqual(failure.word, "UNREACHABLE")
        self.assertIn("cannot connect to b:1", str(failure))

    def test_unknown(self) -> None:
        """All have taken it and nobody has answered."""
        self.have_little_patience()
        for name in "ab":
            self.script(name, b"")
        self.assertRaises(Unknown, self.client(timeout=0.5).incr, "n")
        self.assertRaises(Unavailable, self.client(timeout=0.5).get, "n")

    def test_interrupted(self) -> None:
        """After a Ctrl-C the answer that is still to come must not be taken for that of the next request."""

        def interrupt(words: Words) -> bytes:
            if words[0] == b"GET":
                raise KeyboardInterrupt
            return b":2\r\n"

        for node in self.nodes.values():
            node.behaviour = interrupt
        client = self.client()
        self.assertRaises(KeyboardInterrupt, client.get, "k")
        self.assertEqual(client.incr("n"), 2)
        self.assertEqual(len(self.nodes["a"].ends) + len(self.nodes["b"].ends), 2)

    def test_interrupted_before_it_is_sent(self) -> None:
        """Nor does it keep one of the connections that the client may have."""
        client = self.client(connections=1, timeout=0.2)
        take = client._pool.take

        def interrupted(deadline: float) -> None:
            take(deadline)
            raise KeyboardInterrupt

        self.patch(client._pool, "take", interrupted)
        with self.assertRaises(KeyboardInterrupt):
            client.get("k")
        self.patch(client._pool, "take", take)
        self.script("a", b"$1\r\nv\r\n")
        self.assertEqual(client.get("k"), b"v")

    def test_a_large_pipeline(self) -> None:
        """More than the window and than the kernel's buffers hold: it neither deadlocks nor loses a place."""
        number = 0

        def count(words: Words) -> bytes:
            nonlocal number
            number += 1
            return b":%d\r\n" % number

        self.nodes["a"].behaviour = count
        pipeline = self.client().pipeline()
        for _ in range(1500):
            pipeline.append("k", "v" * 1000)
        self.assertEqual(pipeline.send(), list(range(1, 1501)))

    def test_failures_in_their_places(self) -> None:
        """The others were executed, and their results are there."""
        self.script("a", b":1\r\n", b"-ERR no\r\n", b":3\r\n")
        pipeline = self.client().pipeline()
        for _ in range(3):
            pipeline.incr("n")
        first, failed, third = pipeline.send(raise_errors=False)
        self.assertEqual((first, type(failed), third), (1, Rejected, 3))


class PoolTests(FrontTests):
    def test_threads(self) -> None:
        """Calls at the same time have connections of their own, and no more than allowed; others wait."""
        client = self.client(connections=2)
        entered, leave = threading.Semaphore(0), threading.Event()

        def hold(_: Words) -> bytes:
            entered.release()
            leave.wait(10)
            return b"$-1\r\n"

        self.nodes["a"].behaviour = hold
        threads = [threading.Thread(target=client.get, args=("k",)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in threads:
            self.assertTrue(entered.acquire(timeout=10))
        client._timeout = 0.05
        failure = self.assertRaises(Unavailable, client.get, "k")
        self.assertEqual(failure.word, "BACKLOG")
        client._timeout = 5.0
        leave.set()
        for thread in threads:
            thread.join(10)
        self.assertIsNone(client.get("k"))
        self.assertEqual(len(self.nodes["a"].ends), 2)

    def test_closed(self) -> None:
        """Who uses it all the same is told; nothing was sent."""
        client = self.client()
        client.set("k", "v")
        client.close()
        self.assertEqual(self.assertRaises(Unavailable, client.set, "k", "v").word, "CLOSED")
        self.assertEqual(len(self.nodes["a"].requests), 1)
        self.assertRaises(ValueError, self.client, connections=0)

    def test_addresses(self) -> None:
        """A text, several, or a URL; a database is named once."""
        for addresses in ("a:1, b:2", ["a:1", "b:2"], ["redis://a:1/3"], "dkv://a:1/3"):
            Client(addresses).close()
        for wrong in ("", "a", "dkv://a:1/99", ["dkv://a:1/1", "dkv://b:1/2"]):
            self.assertRaises(ValueError, Client, wrong)
        self.assertRaises(ValueError, Client, "dkv://a:1/1", database=2)
        self.assertRaises(ValueError, Client, "a:1", database=16)

    def test_what_cannot_be_sent_alone(self) -> None:
        """A connection would be somebody else's for whoever uses it next. The error shows nothing of a password."""
        with Client("a:1") as client:
            for words in (("AUTH", "app", "secret"), ("HELLO", "3", "AUTH", "app", "secret"), ("SELECT", 1), ()):
                error = self.assertRaises(ValueError, client.execute, *words)
                self.assertNotIn("secret", str(error))

    def test_database(self) -> None:
        """A connection is in its database before anything else; a node that refuses that is left."""
        self.script("a", b"-LOADING soon\r\n")
        self.script("b", b"+OK\r\n")
        client = self.client(database=7)
        self.assertTrue(client.set("k", "v"))
        self.assertEqual(self.nodes["a"].requests, [[b"SELECT", b"7"]])
        self.assertEqual(self.nodes["b"].requests[0], [b"SELECT", b"7"])


class TransactionTests(FrontTests):
    def exchange(self, *rounds: dict[bytes, bytes | None]) -> Behaviour:
        """Answers to one EXEC after another; that of an empty transaction is a fence."""
        left, queued = list(rounds), False

        def behave(words: Words) -> bytes | None:
            name = words[3] if words[0] == b"IDMP" else words[0]
            usual = {b"WATCH": b"+OK\r\n", b"MGET": b"*1\r\n$1\r\n7\r\n", b"MULTI": b"+OK\r\n", b"SET": b"+QUEUED\r\n"}
            nonlocal queued
            if name == b"EXEC":
                return left.pop(0)[b"EXEC" if queued else b"fence"]
            queued = name == b"SET"
            return usual[name]

        return behave

    def run_one(self, client: Client) -> list[bytes | None]:
        """A transaction, and the values that its function was called with."""
        values: list[bytes | None] = []

        def function(tx: Any, value: bytes | None) -> None:
            values.append(value)
            tx.set("k", 8)

        self.assertEqual(client.transaction(function, "k"), [True])
        return values

    def test_changed(self) -> None:
        """It is done again with new values."""
        self.nodes["a"].behaviour = self.exchange({b"EXEC": b"*-1\r\n"}, {b"EXEC": b"*1\r\n+OK\r\n"})
        self.assertEqual(self.run_one(self.client()), [b"7", b"7"])

    def test_executed_and_not_answered(self) -> None:
        """It is not executed again: the fence finds its token used, and the same EXEC gets the answer."""
        self.nodes["a"].behaviour = self.exchange({b"EXEC": None})
        self.nodes["b"].behaviour = self.exchange({b"fence": b"-IDMPMISMATCH used\r\n"}, {b"EXEC": b"*1\r\n+OK\r\n"})
        self.assertEqual(self.run_one(self.client()), [b"7"])
        first, again = (node.requests[-1] for node in self.nodes.values())
        self.assertEqual(first, again)

    def test_not_executed_and_not_answered(self) -> None:
        """It never will be, so all begins again."""
        self.nodes["a"].behaviour = self.exchange({b"EXEC": None})
        self.nodes["b"].behaviour = self.exchange({b"fence": b"*0\r\n"}, {b"EXEC": b"*1\r\n+OK\r\n"})
        self.assertEqual(self.run_one(self.client()), [b"7", b"7"])

    def test_a_short_disk(self) -> None:
        """The program is told at once: the cluster is not asked again and again for as long as there is time."""
        self.nodes["a"].behaviour = self.exchange({b"EXEC": b"-MISCONF no room\r\n"})
        error = self.assertRaises(Unavailable, self.run_one, self.client())
        self.assertEqual(error.word, "MISCONF")

    def test_contended(self) -> None:
        """It ends when its time is up."""
        changed: dict[bytes, bytes | None] = {b"EXEC": b"*-1\r\n"}
        behave, executions = self.exchange(*[changed] * 5), 0

        def fall_silent(words: Words) -> bytes | None:
            nonlocal executions
            executions += words[-1] == b"EXEC"
            return behave(words) if executions < 5 or words[-1] == b"EXEC" else b""

        self.nodes["a"].behaviour = fall_silent
        self.script("b", b"")
        self.assertRaises(Contended, self.run_one, self.client(timeout=1.0))

    def test_an_exception(self) -> None:
        """The keys are not watched by the next transaction: it has another connection."""
        self.nodes["a"].behaviour = self.exchange()
        client = self.client()
        self.assertRaises(ZeroDivisionError, client.transaction, lambda tx, value: 1 // 0, "k")
        self.nodes["b"].behaviour = self.exchange({b"EXEC": b"*1\r\n+OK\r\n"})
        self.assertEqual(client.transaction(lambda tx: tx.set("k", 1)), [True])
        self.assertEqual(len(self.nodes["b"].ends), 1)
