"""The client for asyncio sends the same in the same order as the blocking one, and tells a program the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import redis
from redis.exceptions import WatchError
from twisted.trial.unittest import SynchronousTestCase

from dkv.client.redis.asyncio import AnswerLost, ConnectionPool, MaybeApplied, NotApplied, Redis
from tests.client.redis.scripted_nodes import CUT, OK, QUEUED, ScriptedNode, Words, closed_endpoint, in_turn

TRYAGAIN = b"-TRYAGAIN no leader answered within 5.0 s; not applied, retry\r\n"
UNCERTAIN = b"-UNCERTAIN the write was proposed\r\n"
OLD = b"-IDMPOLD the token is older than what is remembered\r\n"
TAKEN = b"-IDMPMISMATCH the token was used with another write\r\n"
NIL = b"_\r\n"
ONE = b":1\r\n"


class AsyncClientTests(SynchronousTestCase):
    def nodes(self, *scripts: Iterable[bytes]) -> list[ScriptedNode]:
        """A node for each script."""
        found = [ScriptedNode(in_turn([*script])) for script in scripts]
        for node in found:
            self.addCleanup(node.close)
        return found

    def run_with(
        self, nodes: Iterable[Any], job: Callable[[Redis], Awaitable[Any]], deadline: float = 20.0, **options: Any
    ) -> Any:
        """What ``job`` returns, with a client of these nodes."""

        async def main() -> Any:
            endpoints = [getattr(each, "endpoint", each) for each in nodes]
            client = Redis(nodes=endpoints, deadline_seconds=deadline, protocol=3, **options)
            try:
                return await job(client)
            finally:
                await client.aclose()

        return asyncio.run(main())

    def test_a_lost_answer_is_asked_for_at_the_next_node_with_the_same_token(self) -> None:
        """With another token, or none, the counter would count twice."""
        first, second, third = self.nodes([CUT], [UNCERTAIN], [b":7\r\n", b":8\r\n", NIL])

        async def job(client: Redis) -> Any:
            return [await client.incr("a"), await client.incr("a"), await client.get("b")]

        found = self.run_with([closed_endpoint(), first, second, third], job)
        self.assertEqual(found, [7, 8, None])
        self.assertEqual({first.asked[0], second.asked[0]}, {third.asked[0]})
        self.assertEqual(first.asked[0][3:], (b"INCRBY", b"a", b"1"))
        self.assertEqual(third.asked[2], (b"GET", b"b"))

    def test_what_a_program_is_told(self) -> None:
        """A refusal says nothing about an earlier attempt without an answer (B35)."""

        async def job(client: Redis) -> Any:
            return await client.incr("a")

        for script, error in (
            ([TRYAGAIN] * 1000, NotApplied),
            ([CUT, *[TRYAGAIN] * 1000], MaybeApplied),
            ([CUT, OLD], MaybeApplied),
        ):
            (node,) = self.nodes(script)
            self.assertRaises(error, self.run_with, [node], job, 0.1)
        (node,) = self.nodes([OLD, ONE])
        self.assertEqual(self.run_with([node], job), 1)

        async def publish(client: Redis) -> Any:
            return await client.publish("channel", "message")

        (node,) = self.nodes([CUT])
        self.assertRaises(redis.ConnectionError, self.run_with, [node], publish)

    def test_transactions_and_pipelines(self) -> None:
        """A transaction is sent again as a whole, and a pipeline from its first write without an answer on."""
        block = [OK, QUEUED, b"*1\r\n:5\r\n"]
        first, second = self.nodes([OK, QUEUED, CUT, b":2\r\n"], [*block, ONE, CUT])

        async def job(client: Redis) -> Any:
            together = await client.pipeline().incr("a").execute()
            return together + await client.pipeline(transaction=False).incr("b").incr("b").execute()

        self.assertEqual(self.run_with([first, second], job), [5, 1, 2])
        self.assertEqual(first.asked[:3], second.asked[:3])
        self.assertEqual(first.asked[3:], second.asked[4:])

    def test_watch(self) -> None:
        """WatchError is raised only of what was not executed, and never will be."""

        async def job(client: Redis) -> Any:
            async with client.pipeline() as pipeline:
                await pipeline.watch("a")
                await pipeline.get("a")
                pipeline.multi()
                pipeline.incr("a")
                return await pipeline.execute()

        begun = (OK, NIL, OK, QUEUED)
        again = (OK, OK, QUEUED)
        for script, expected in (
            ([*begun, CUT, OK, b"*0\r\n"], WatchError),
            ([*begun, UNCERTAIN, OK, TAKEN, *again, NIL], WatchError),
            ([*begun, CUT, OK, TAKEN, *again, OLD], AnswerLost),
            ([*begun, CUT, OK, OLD], MaybeApplied),
            ([OK, CUT, NIL], WatchError),
        ):
            (node,) = self.nodes(script)
            self.assertRaises(expected, self.run_with, [node], job)
        (node,) = self.nodes([*begun, CUT, OK, TAKEN, *again, b"*1\r\n:9\r\n"])
        self.assertEqual(self.run_with([node], job), [9])

    def test_a_request_that_is_cancelled(self) -> None:
        """The answer that nobody waits for any more must not be taken for that of the next request."""
        (node,) = self.nodes([])
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def respond(words: Words) -> bytes:
            if words[-1] == b"slow":
                go_on.wait()
                return b"$5\r\nwrong\r\n"
            return b"$5\r\nright\r\n"

        node.respond = respond

        async def job(client: Redis) -> Any:
            pipeline = client.pipeline(transaction=False).get("a").get("slow")
            for slow in (client.get("slow"), pipeline.execute()):
                try:
                    await asyncio.wait_for(slow, 0.1)
                except TimeoutError:
                    pass
            go_on.set()
            return [await client.get("a") for _ in range(3)]

        self.assertEqual(self.run_with([node], job), [b"right"] * 3)

    def test_a_scan_begins_anew_at_another_node(self) -> None:
        """A cursor is known to one node."""
        page = b"*2\r\n$1\r\n%d\r\n*1\r\n$1\r\n%b\r\n"
        first, second = self.nodes(
            [page % (7, b"a"), CUT], [b"-ERR invalid cursor: this node does not know it\r\n", page % (0, b"b")]
        )

        async def job(client: Redis) -> Any:
            return [key async for key in client.scan_iter("*")]

        self.assertEqual(self.run_with([first, second], job), [b"a", b"b"])

    def test_other_ways_to_make_one(self) -> None:
        """By a URL, on a pool, and with one connection."""
        first, second = self.nodes([CUT, ONE], [b"$1\r\nx\r\n", ONE, CUT])

        async def main() -> Any:
            url = f"redis://{first.endpoint},{second.endpoint}/0"
            client = Redis.from_url(url, decode_responses=True, protocol=3)
            found = [await client.get("a"), await client.incr("a")]
            await client.aclose()
            pool = ConnectionPool(nodes=[second.endpoint, first.endpoint], protocol=3)
            async with Redis(connection_pool=pool).client() as single:
                found.append(await single.incr("a"))
            await pool.disconnect()
            with self.assertRaises(ValueError):
                Redis(nodes=["h:1"], connection_pool=pool)
            return found

        self.assertEqual(asyncio.run(main()), ["x", 1, 1])
        self.assertEqual([len(first.asked), len(second.asked)], [2, 3])
