"""Scripts on real nodes, sent by the libraries that people have."""

from __future__ import annotations

import asyncio
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter
from redis.exceptions import LockNotOwnedError, NoScriptError, ResponseError
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import HOST, RealNode, shared_cluster

WORKERS = 6
TIMES = 15


class ScriptsTest(SynchronousTestCase):
    """Three nodes that stay."""

    def setUp(self) -> None:
        self.nodes = shared_cluster().nodes
        self.nodes[0].call("FLUSHALL")

    def connect(self, node: RealNode) -> Any:
        client = redis.Redis(HOST, node.port, socket_timeout=30.0)
        self.addCleanup(client.close)
        return client

    def test_locks_of_redis_py(self) -> None:
        """Workers at all nodes hold one lock in turn: what each reads and writes under it is never lost."""
        self.nodes[0].call("SET", "shared", 0)

        def work(number: int) -> None:
            client = self.connect(self.nodes[number % 3])
            for _ in range(TIMES):
                with client.lock("the-lock", timeout=30, sleep=0.01) as lock:
                    client.set("shared", int(client.get("shared")) + 1)
                    lock.extend(5)
                    lock.reacquire()

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(work, range(WORKERS)))
        self.assertEqual(self.nodes[1].call("GET", "shared"), b"%d" % (WORKERS * TIMES))

    def test_a_lock_that_is_over(self) -> None:
        """It is not released by the one that held it: another one may hold it by then."""
        first, second = (self.connect(node) for node in self.nodes[:2])
        lock = first.lock("short", timeout=0.05)
        self.assertTrue(lock.acquire())
        other = second.lock("short", timeout=30)
        self.assertTrue(other.acquire(blocking_timeout=10))
        self.assertRaises(LockNotOwnedError, lock.release)
        other.release()

    def test_limits(self) -> None:
        """A limit holds for clients of all nodes together."""
        item = RateLimitItemPerMinute(5)
        for strategy in (FixedWindowRateLimiter, SlidingWindowCounterRateLimiter):
            storages = [RedisStorage(f"redis://{HOST}:{node.port}") for node in self.nodes]
            hits = [strategy(storages[number % 3]).hit(item, "somebody") for number in range(9)]
            self.assertEqual(hits, [True] * 5 + [False] * 4, strategy.__name__)
            self.assertEqual(strategy(storages[0]).get_window_stats(item, "somebody").remaining, 0)
            self.assertGreater(storages[1].reset() or 0, 0)

    def test_the_locks_of_asyncio_libraries(self) -> None:
        """aiocache and cashews, each with its lock and what it counts."""
        port = self.nodes[2].port

        async def use() -> list[Any]:
            from aiocache import RedisCache
            from aiocache.lock import OptimisticLock, RedLock
            from cashews import Cache

            cache = RedisCache(endpoint=HOST, port=port)
            async with RedLock(cache, "k", lease=10):
                await cache.set("k", "1")
            async with OptimisticLock(cache, "k") as lock:
                await lock.cas("2", ttl=10)
            found = [await cache.get("k")]
            await cache.close()
            other = Cache()
            other.setup(f"redis://{HOST}:{port}")
            async with other.lock("lock", expire=10):
                found.append(await other.is_locked("lock"))
            found += [await other.is_locked("lock"), await other.incr("n", expire=10), await other.incr("n", expire=10)]
            await other.close()
            return found

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # both use an old word of redis-py
            found = asyncio.run(use())
        self.assertEqual(found, ["2", True, False, 1, 2])

    def test_with_a_token(self) -> None:
        """Sent again through another node, a script gets its first answer, and is not executed again."""
        request = ("IDMP", "scripted", 1, "EVALSHA", "add", 1, "n", 5)
        self.assertEqual([node.call(*request) for node in self.nodes], [5, 5, 5])
        self.assertEqual(self.nodes[0].call("GET", "n"), b"5")

    def test_unknown(self) -> None:
        """It is refused at once, by its SHA1 and by its text, and the page is named."""
        client = self.connect(self.nodes[0])
        self.assertRaises(NoScriptError, client.evalsha, "0" * 40, 0)
        error = self.assertRaises(ResponseError, client.register_script("return 1"))
        self.assertIn("docs/clients.md#scripts", str(error))
        self.assertEqual(client.script_exists("0" * 40, "c3f8721cbb97f72bc19e972846bd7aaf91901658"), [False, True])
