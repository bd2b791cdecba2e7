"""A connection and its users, one after the other: none gets what another one was to be told."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.redis import Redis
from dkv.client.redis.asyncio import Redis as AsyncRedis
from tests.client.redis.scripted_nodes import OK, ScriptedNode, Words

SECONDS = 20.0


class AnnouncedLock:
    """A lock that tells when somebody else wants it."""

    def __init__(self, lock: Any) -> None:
        self.wanted = threading.Event()
        self._lock = lock

    def acquire(self) -> None:
        """As a lock."""
        self.wanted.set()
        self._lock.acquire()

    def release(self) -> None:
        """As a lock."""
        self._lock.release()


class OnlyConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.was_asked, self.may_answer = threading.Event(), threading.Event()
        self.first, self.second = ScriptedNode(self.slowly), ScriptedNode(self.echo)
        self.addCleanup(self.second.close)
        self.addCleanup(self.first.close)
        self.addCleanup(self.may_answer.set)
        self.options: dict[str, Any] = {
            "nodes": [self.first.endpoint, self.second.endpoint],
            "single_connection_client": True,
            "protocol": 3,
        }

    def echo(self, words: Words) -> bytes:
        """The key as its value."""
        return b"$%d\r\n%b\r\n" % (len(words[1]), words[1])

    def slowly(self, words: Words) -> bytes:
        """The same, when the test says so."""
        self.was_asked.set()
        self.may_answer.wait(SECONDS)
        return self.echo(words)

    def check(self, found: list[bytes]) -> None:
        """Each has its own answer, and from the node that was asked first."""
        self.assertEqual(found, [b"a", b"b"])
        self.assertEqual(self.first.asked, [(b"GET", b"a")])
        self.assertEqual(self.second.asked, [(b"GET", b"b")])

    def test_of_threads(self) -> None:
        """Else one of them takes what the other is told on its new connection for its own answer."""
        client: Any = Redis(**self.options)
        self.addCleanup(client.close)
        lock = client.single_connection_lock = AnnouncedLock(client.single_connection_lock)
        found: dict[str, bytes] = {}
        threads = [threading.Thread(target=lambda key=key: found.update({key: client.get(key)})) for key in "ab"]
        threads[0].start()
        self.assertTrue(self.was_asked.wait(SECONDS))
        lock.wanted.clear()
        client.connection.nodes.failed(self.first.endpoint)  # on another connection of the pool
        threads[1].start()
        self.assertTrue(lock.wanted.wait(SECONDS))
        self.may_answer.set()
        for each in threads:
            each.join()
        self.check([found["a"], found["b"]])

    def test_of_tasks(self) -> None:
        """Likewise."""

        async def main() -> list[bytes]:
            client: Any = AsyncRedis(**self.options)
            one = asyncio.create_task(client.get("a"))
            await asyncio.to_thread(self.was_asked.wait, SECONDS)
            client.connection.nodes.failed(self.first.endpoint)
            other = asyncio.create_task(client.get("b"))
            for _ in range(10):
                await asyncio.sleep(0)
            self.may_answer.set()
            try:
                return [await one, await other]
            finally:
                await client.aclose()

        self.check(asyncio.run(main()))


class InterruptedTests(SynchronousTestCase):
    """A Ctrl-C between a request and its reply, which comes later: the connection is of no more use."""

    def setUp(self) -> None:
        self.node = ScriptedNode(lambda words: OK)
        self.addCleanup(self.node.close)
        self.client: Any = Redis(nodes=[self.node.endpoint], protocol=3)
        self.addCleanup(self.client.close)

    def interrupt(self, *_: object, **__: object) -> None:
        """In place of reading a reply."""
        raise KeyboardInterrupt

    def check(self) -> None:
        """Nobody gets the connection as it is."""
        (connection,) = self.client.connection_pool._available_connections
        self.assertIsNone(connection.marker)

    def test_a_command(self) -> None:
        """Nothing of it is read."""
        self.patch(self.client, "parse_response", self.interrupt)
        with self.assertRaises(KeyboardInterrupt):
            self.client.get("a")
        self.check()

    def test_a_pipeline_that_watches(self) -> None:
        """It forgets the keys when it is left."""
        pipeline = self.client.pipeline()
        pipeline.watch("a")
        self.patch(pipeline.connection, "read_response", self.interrupt)
        with self.assertRaises(KeyboardInterrupt):
            pipeline.reset()
        pipeline.reset()
        self.check()
