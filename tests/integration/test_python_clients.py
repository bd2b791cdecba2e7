"""The two clients of ``dkv.client`` against real nodes: every method, and a leader that is killed under load."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from dkv.client import Client, Rejected
from dkv.client.twisted import Client as TwistedClient
from tests.integration.processes import HOST, RealCluster, shared_cluster, wait_until

CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], Any]] = [
    ("set", ("{k}", "v"), {}, True),
    (
        "set",
        (
            "{k}",
            b"\xff\r\n",
        ),
        {"nx": True},
        False,
    ),
    ("set", ("{k}", b"\xff\r\n"), {"xx": True, "ex": 100}, True),
    ("get", ("{k}",), {}, b"\xff\r\n"),
    ("set", ("{k}", "other"), {"ifeq": "v"}, False),
    ("set", ("{k}", "ü"), {"ifeq": b"\xff\r\n", "keepttl": True}, True),
    ("get", ("{k}",), {}, "ü".encode()),
    ("persist", ("{k}",), {}, True),
    ("ttl", ("{k}",), {}, -1.0),
    ("ttl", ("{k}-none",), {}, -2.0),
    ("expire", ("{k}-none", 5), {}, False),
    ("append", ("{k}", "!"), {}, 3),
    ("getset", ("{k}", 7), {}, "ü!".encode()),
    ("incr", ("{k}",), {}, 8),
    ("incr", ("{k}", 10), {}, 18),
    ("decr", ("{k}", 8), {}, 10),
    ("mset", ({"{k}-a": "1", "{k}-b": 2},), {}, None),
    ("mget", ("{k}", "{k}-a", "{k}-none"), {}, [b"10", b"1", None]),
    ("exists", ("{k}", "{k}-a", "{k}-none"), {}, 2),
    ("keys", ("{k}-*",), {}, [b"{k}-a", b"{k}-b"]),
    ("execute", ("GETRANGE", "{k}", 0, 0), {}, b"1"),
    ("execute", (b"SETEX", "{k}", 100, b"x"), {}, "OK"),
    ("getdel", ("{k}",), {}, b"x"),
    ("get", ("{k}",), {}, None),
    ("delete", ("{k}", "{k}-a", "{k}-b"), {}, 2),
    ("expire", ("{k}", 0.5), {}, False),
]


def cases(key: str) -> list[tuple[str, tuple[Any, ...], dict[str, Any], Any]]:
    """Calls of methods, with a key of their own, and their results."""

    def named(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("{k}", key)
        if isinstance(value, bytes):
            return value.replace(b"{k}", key.encode())
        if isinstance(value, list | tuple):
            return type(value)(map(named, value))
        return {named(name): named(each) for name, each in value.items()} if isinstance(value, dict) else value

    return [named(case) for case in CASES]


def addresses(cluster: RealCluster) -> list[str]:
    """Where its nodes are."""
    return [f"{HOST}:{node.port}" for node in cluster.nodes]


def add_one(key: str) -> Callable[..., None]:
    """Add 1 by way of the value that was read, which needs a watched key."""

    def function(tx: Any, value: bytes | None) -> None:
        tx.set(key, int(value or 0) + 1)

    return function


class MethodTests(TestCase):
    """What each method sends and makes of the reply."""

    def test_blocking(self) -> None:
        """A user calls each method by its documentation."""
        with Client(",".join(addresses(shared_cluster()))) as client:
            for name, arguments, named, result in cases("one-by-one"):
                self.assertEqual(getattr(client, name)(*arguments, **named), result, (name, arguments))

    async def test_twisted(self) -> None:
        """So does a user of Twisted."""
        client = TwistedClient(addresses(shared_cluster()))
        for name, arguments, named, result in cases("by-deferreds"):
            self.assertEqual(await getattr(client, name)(*arguments, **named), result, (name, arguments))
        await client.close()

    def test_blocking_pipeline(self) -> None:
        """All results come in order, an error is that of its own request, and the others are executed."""
        with Client(addresses(shared_cluster())) as client:
            pipeline = client.pipeline()
            for name, arguments, named, _ in cases("sent-together"):
                getattr(pipeline, name)(*arguments, **named)
            self.assertEqual(pipeline.send(), [result for *_, result in cases("sent-together")])
            self.assertEqual(pipeline.send(), [])
            client.set("text", "x")
            for key in ("text", "pipeline-count"):
                pipeline.incr(key)
            failed, count = pipeline.send(raise_errors=False)
            self.assertIsInstance(failed, Rejected)
            self.assertEqual(count, 1)
            pipeline.incr("text")
            self.assertRaises(Rejected, pipeline.send)

    async def test_twisted_pipeline(self) -> None:
        """The same with a Deferred."""
        client = TwistedClient(addresses(shared_cluster()))
        pipeline = client.pipeline()
        for name, arguments, named, _ in cases("together-by-deferreds"):
            getattr(pipeline, name)(*arguments, **named)
        self.assertEqual(await pipeline.send(), [result for *_, result in cases("together-by-deferreds")])
        await client.set("text", "x")
        pipeline.incr("text")
        pipeline.incr("pipe-count")
        failed, count = await pipeline.send(raise_errors=False)
        self.assertIsInstance(failed, Rejected)
        self.assertEqual(count, 1)
        await client.close()

    def test_blocking_scan(self) -> None:
        """All keys come, page by page, while the program uses the client."""
        with Client(addresses(shared_cluster()), connections=1) as client:
            client.mset({f"scanned-{number:03}": number for number in range(100)})
            found = [client.get(key) for key in client.scan("scanned-*", count=7)]
            self.assertEqual(found, [b"%d" % number for number in range(100)])

    async def test_twisted_scan(self) -> None:
        """The same with ``async for``."""
        client = TwistedClient(addresses(shared_cluster()))
        await client.mset({f"looked-{number:03}": number for number in range(100)})
        found = [await client.get(key) async for key in client.scan("looked-*", count=7)]
        self.assertEqual(found, [b"%d" % number for number in range(100)])
        await client.close()

    def test_databases(self) -> None:
        """The database of the URL is that of every connection."""
        node = addresses(shared_cluster())[0]
        with Client(f"dkv://{node}/3") as third, Client(node, database=3) as same, Client(node) as first:
            third.set("database", "3")
            self.assertEqual((same.get("database"), first.get("database")), (b"3", None))

    def test_state_of_a_connection(self) -> None:
        """A client has many connections, so what a request makes of one of them would strike others."""
        with Client(addresses(shared_cluster())) as client:
            for words in (["MULTI"], ["select", 1], ["IDMP", "p", 1, "EXEC"], ["CLIENT", "reply", "off"], []):
                self.assertRaises(ValueError, client.execute, *words)


class TransactionTests(TestCase):
    """Several requests at once, by both clients."""

    def test_blocking(self) -> None:
        """Threads that count by reading and writing back count right."""
        with Client(addresses(shared_cluster()), connections=4) as client:

            def work() -> None:
                for _ in range(25):
                    client.transaction(add_one("by-threads"), "by-threads")

            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            self.assertEqual(client.get("by-threads"), b"100")
            self.assertEqual(
                client.transaction(lambda tx: (tx.incr("by-threads"), tx.get("by-threads"))),
                [101, b"101"],
            )
            self.assertEqual(client.transaction(lambda tx, _: None, "by-threads"), [])
            self.assertEqual(client.transaction(lambda tx: tx.incr("by-threads")), [102])  # nothing is watched any more

    def test_an_exception(self) -> None:
        """What the function raises is raised, and nothing is executed or watched."""
        with Client(addresses(shared_cluster()), connections=1) as client:
            self.assertRaises(ZeroDivisionError, client.transaction, lambda tx, _: tx.set("never", 1 // 0), "never")
            client.set("never", "x")
            self.assertEqual(client.transaction(lambda tx: tx.getdel("never")), [b"x"])

    async def test_twisted(self) -> None:
        """So do Deferreds that are outstanding at the same time."""
        client = TwistedClient(addresses(shared_cluster()), connections=4)
        many = [client.transaction(add_one("outstanding"), "outstanding") for _ in range(40)]
        await gatherResults(many)
        self.assertEqual(await client.get("outstanding"), b"40")
        plain = client.transaction(lambda tx: (tx.incr("outstanding"), tx.get("outstanding")))
        self.assertEqual(await plain, [41, b"41"])
        self.assertEqual(await client.transaction(lambda tx, _: None, "outstanding"), [])
        await client.close()


class ForkTests(SynchronousTestCase):
    def test_parent_and_child(self) -> None:
        """A server makes its client, and then forks its workers: each write of each process counts."""
        with Client(addresses(shared_cluster())) as client:
            client.set("forked", 0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # other tests may have left a thread; the child does not need it
                child = os.fork()
            for _ in range(20):
                client.incr("forked")
            if not child:
                os._exit(0)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            self.assertEqual(client.get("forked"), b"40")


class FailOverTests(TestCase):
    """The leader is killed under load, and comes back: everything happens once."""

    timeout = 120

    def setUp(self) -> None:
        self.cluster = RealCluster()
        self.addCleanup(self.cluster.close)
        self.cluster.start()

    def kill_the_leader(self, done: Callable[[], int]) -> None:
        """Twice, each time when more was done since."""

        def wait_for_more(what: str) -> None:
            enough = done() + 100
            wait_until(lambda: done() > enough, 60.0, what)

        for _ in range(2):
            wait_for_more("the load goes on")
            leader = self.cluster.leader()
            leader.kill()
            wait_for_more("the load goes on without it")
            leader.start()
            self.cluster.wait_ready()

    def test_blocking(self) -> None:
        """Counters, pipelines and transactions of threads."""
        stopping = threading.Event()
        counts = {"incr": 0, "pipeline": 0, "watched": 0}
        problems: list[BaseException] = []
        with Client(addresses(self.cluster), timeout=30.0) as client:

            def count() -> None:
                client.incr("incr")
                counts["incr"] += 1

            def pipeline() -> None:
                several = client.pipeline()
                for number in range(counts["pipeline"], counts["pipeline"] + 20):
                    several.append("pipeline", f"{number},")
                lengths = several.send()
                assert lengths == sorted(lengths), lengths
                counts["pipeline"] += 20

            def watched() -> None:
                client.transaction(add_one("watched"), "watched")
                counts["watched"] += 1

            def work(act: Callable[[], None]) -> None:
                try:
                    while not stopping.is_set():
                        act()
                except BaseException as error:
                    problems.append(error)

            threads = [threading.Thread(target=work, args=(act,)) for act in (count, pipeline, watched)]
            for thread in threads:
                thread.start()
            try:
                self.kill_the_leader(lambda: sum(counts.values()))
            finally:
                stopping.set()
                for thread in threads:
                    thread.join(60)
            self.assertEqual(problems, [])
            self.assertEqual(client.get("incr"), b"%d" % counts["incr"])
            self.assertEqual(client.get("watched"), b"%d" % counts["watched"])
            appended = "".join(f"{number}," for number in range(counts["pipeline"]))
            self.assertEqual(client.get("pipeline"), appended.encode())

    async def test_twisted(self) -> None:
        """A hundred requests outstanding all the time, pipelines and transactions."""
        client = TwistedClient(addresses(self.cluster), timeout=30.0)
        counts = {"incr": 0, "pipeline": 0, "watched": 0}
        stopping = threading.Event()

        async def count() -> None:
            while not stopping.is_set():
                await client.incr("incr")
                counts["incr"] += 1

        async def pipeline() -> None:
            while not stopping.is_set():
                several = client.pipeline()
                for number in range(counts["pipeline"], counts["pipeline"] + 20):
                    several.append("pipeline", f"{number},")
                await several.send()
                counts["pipeline"] += 20

        async def watched() -> None:
            while not stopping.is_set():
                await client.transaction(add_one("watched"), "watched")
                counts["watched"] += 1

        load = gatherResults(
            [Deferred.fromCoroutine(act()) for act in (*[count] * 100, pipeline, watched)], consumeErrors=True
        )
        try:
            await deferToThread(self.kill_the_leader, lambda: sum(counts.values()))
        finally:
            stopping.set()
        await load
        self.assertEqual(await client.get("incr"), b"%d" % counts["incr"])
        self.assertEqual(await client.get("watched"), b"%d" % counts["watched"])
        appended = "".join(f"{number}," for number in range(counts["pipeline"]))
        self.assertEqual(await client.get("pipeline"), appended.encode())
        await client.close()
