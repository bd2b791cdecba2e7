"""Connections that end between a node's answer and its client, all the time: dkv's own clients count right."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from dkv.client import Client, Unavailable
from dkv.client.blocking import Endpoint
from dkv.client.itinerary import Itinerary
from dkv.client.redis.cutting_proxy import CuttingProxy
from dkv.client.twisted import Client as TwistedClient
from tests.integration.processes import HOST, shared_cluster

TIMEOUT_SECONDS = 60.0


class CutTests(TestCase):
    """Each client reaches the nodes through proxies that cut answers to writes off, or a part of them."""

    timeout = 120

    def setUp(self) -> None:
        self.chance = Random(7)
        self.likely = 0.1
        self.patch(Itinerary, "learn", lambda *_: None)  # the members' own addresses lead around the proxies
        self.proxies = [CuttingProxy(Endpoint(HOST, node.port), self.judge) for node in shared_cluster().nodes]
        for proxy in self.proxies:
            self.addCleanup(proxy.close)
        self.addresses = [str(proxy.endpoint) for proxy in self.proxies]

    def judge(self, asked: bytes, answer: bytes) -> int | None:
        """How much of an answer comes through; None if all of it does."""
        if b"IDMP" not in asked or self.chance.random() >= self.likely:
            return None
        return self.chance.randrange(len(answer))

    def check(self, client_of_a_node: Client, name: str, counted: int, appended: int) -> None:
        """Ask without a proxy in between."""
        with client_of_a_node as plain:
            self.assertEqual(plain.get(f"{name}-counter"), b"%d" % counted)
            self.assertEqual(plain.get(f"{name}-watched"), b"%d" % (counted // 10))
            self.assertEqual(plain.get(f"{name}-list"), "".join(f"{each}," for each in range(appended)).encode())
        self.assertGreater(sum(proxy.cut for proxy in self.proxies), 20)

    def plain(self) -> Client:
        return Client([f"{HOST}:{node.port}" for node in shared_cluster().nodes])

    def test_blocking(self) -> None:
        """Single writes, pipelines, and transactions with and without keys."""
        with self.plain() as plain:
            plain.delete(*[f"blocking-{each}" for each in ("counter", "watched", "list", "both")])
        with Client(self.addresses, timeout=TIMEOUT_SECONDS) as client:
            for number in range(1, 301):
                self.assertEqual(client.incr("blocking-counter"), number)
            for number in range(30):
                client.transaction(add_one("blocking-watched"), "blocking-watched")
                self.assertEqual(client.transaction(lambda tx: tx.incr("blocking-both")), [number + 1])
            self.likely = 0.3
            for start in range(0, 600, 60):
                pipeline = client.pipeline()
                for number in range(start, start + 60):
                    pipeline.append("blocking-list", f"{number},")
                    pipeline.get("blocking-list")
                results = pipeline.send(raise_errors=False)
                for length, value in zip(results[::2], results[1::2], strict=True):
                    # A read whose answer was cut off is not sent again if a write behind it was executed.
                    self.assertIn(length, (len(value),) if isinstance(value, bytes) else range(5000), value)
                    self.assertIsInstance(value, bytes | Unavailable)
        self.check(self.plain(), "blocking", 300, 600)

    async def test_twisted(self) -> None:
        """The same with many outstanding."""
        with self.plain() as plain:
            plain.delete(*[f"deferred-{each}" for each in ("counter", "watched", "list")])
        client = TwistedClient(self.addresses, timeout=TIMEOUT_SECONDS)

        async def count() -> None:
            for _ in range(30):
                await client.incr("deferred-counter")

        await gatherResults([Deferred.fromCoroutine(count()) for _ in range(20)])
        for _ in range(60):
            await client.transaction(add_one("deferred-watched"), "deferred-watched")
        self.likely = 0.3
        for start in range(0, 600, 60):
            pipeline = client.pipeline()
            for number in range(start, start + 60):
                pipeline.append("deferred-list", f"{number},")
            await pipeline.send()
        await client.close()
        self.check(self.plain(), "deferred", 600, 600)


def add_one(key: str) -> Callable[..., None]:
    """Add 1 by way of the value that was read."""

    def function(tx: Any, value: bytes | None) -> None:
        tx.set(key, int(value or 0) + 1)

    return function
