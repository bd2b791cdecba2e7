"""Transactions with WATCH on a pool of redis-py's own, whose connections make themselves anew without a word."""

from __future__ import annotations

import asyncio
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import WatchError
from redis.retry import Retry
from twisted.trial.unittest import SynchronousTestCase

from dkv.client.redis import Redis
from dkv.client.redis.asyncio import Redis as AsyncRedis
from tests.client.redis.scripted_nodes import CUT, OK, QUEUED, ScriptedNode, Words

USUAL = {b"WATCH": OK, b"GET": b"$1\r\n5\r\n", b"MULTI": OK, b"SET": QUEUED, b"IDMP": b"*1\r\n+OK\r\n"}


class ForeignPoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        pongs = [CUT, b"+PONG\r\n", b"+PONG\r\n"]

        def respond(words: Words) -> bytes:
            return pongs.pop(0) if words == (b"PING",) else USUAL[words[0]]

        self.node = ScriptedNode(respond)
        self.addCleanup(self.node.close)

    def options(self, retry: Any) -> dict[str, Any]:
        """Those of the pool."""
        endpoint = self.node.endpoint
        return {
            "host": endpoint.host,
            "port": endpoint.port,
            "protocol": 3,
            "retry": retry,
        }

    def transact(self, *, reads: bool) -> list[Any]:
        """A transaction whose connection is lost at the first check of its health."""
        pool = redis.ConnectionPool(**self.options(Retry(NoBackoff(), 3)))
        self.addCleanup(pool.disconnect)
        with Redis(connection_pool=pool).pipeline() as pipeline:
            pipeline.watch("k")
            pipeline.connection.health_check_interval, pipeline.connection.next_health_check = 3600, -1.0
            if reads:
                self.assertEqual(pipeline.get("k"), b"5")
            pipeline.multi()
            pipeline.set("k", 6)
            found: list[Any] = pipeline.execute()
            return found

    async def transact_async(self, *, reads: bool) -> list[Any]:
        """The same with asyncio."""
        pool = redis.asyncio.ConnectionPool(**self.options(AsyncRetry(NoBackoff(), 3)))
        try:
            async with AsyncRedis(connection_pool=pool).pipeline() as pipeline:
                await pipeline.watch("k")
                pipeline.connection.health_check_interval, pipeline.connection.next_health_check = 3600, -1.0
                if reads:
                    self.assertEqual(await pipeline.get("k"), b"5")
                pipeline.multi()
                pipeline.set("k", 6)
                found: list[Any] = await pipeline.execute()
                return found
        finally:
            await pool.disconnect()

    def test_no_check_before_exec(self) -> None:
        """It would make the connection anew, and EXEC would be executed although a watched key has changed."""
        self.assertEqual(self.transact(reads=False), [True])
        self.assertEqual(asyncio.run(self.transact_async(reads=False)), [True])
        self.assertNotIn((b"PING",), self.node.asked)

    def test_a_read_on_another_connection(self) -> None:
        """What was watched is lost with the first one."""
        self.assertRaises(WatchError, self.transact, reads=True)
        self.assertNotIn((b"MULTI",), self.node.asked)

    def test_a_read_on_another_connection_with_asyncio(self) -> None:
        """Likewise."""
        self.assertRaises(WatchError, asyncio.run, self.transact_async(reads=True))
        self.assertNotIn((b"MULTI",), self.node.asked)
