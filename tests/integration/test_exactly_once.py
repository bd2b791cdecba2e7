"""Connections that end between a node's answer and its client: redis-py counts twice, ``dkv.client.redis`` once."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from twisted.trial.unittest import SynchronousTestCase

from dkv.client.blocking import Endpoint
from dkv.client.redis import Redis
from dkv.client.redis.asyncio import Redis as AsyncRedis
from dkv.client.redis.cutting_proxy import CuttingProxy, Judge
from tests.integration.processes import HOST, RealCluster, Refused, child_environment, shared_cluster, wait_until

PROGRAM_SECONDS = 60.0
WRITES = tuple(b"\r\n%b\r\n" % word for word in (b"INCRBY", b"EXEC", b"APPEND", b"SET", b"EVALSHA"))
"""As they stand in a request, and not within another word, such as SETINFO."""


def sometimes(seed: int, likely: float, *, parts: bool = False) -> Judge:
    """Cuts answers to writes off by chance; with ``parts`` some of their bytes come through."""
    chance = Random(seed)

    def judge(asked: bytes, answer: bytes) -> int | None:
        if not any(word in asked for word in WRITES) or chance.random() >= likely:
            return None
        return chance.randrange(len(answer)) if parts else 0

    return judge


class ProxiedTests(SynchronousTestCase):
    """A cluster behind proxies."""

    def through_proxies(self, cluster: RealCluster, judge: Judge) -> list[CuttingProxy]:
        """A proxy for each node."""
        proxies = [CuttingProxy(Endpoint(HOST, node.port), judge) for node in cluster.nodes]
        for proxy in proxies:
            self.addCleanup(proxy.close)
        return proxies

    def client(self, proxies: list[CuttingProxy], **options: Any) -> Redis:
        """Ours, for all of them."""
        client = Redis(nodes=[proxy.endpoint for proxy in proxies], deadline_seconds=60.0, **options)
        self.addCleanup(client.close)
        return client


class CutConnectionTests(ProxiedTests):
    def setUp(self) -> None:
        self.cluster = shared_cluster()
        self.cluster.nodes[0].call("FLUSHALL")

    def test_plain_redis_py_counts_twice(self) -> None:
        """docs/clients.md warns of this. If it fails, redis-py has changed, and the warning is wrong."""
        proxies = self.through_proxies(self.cluster, sometimes(1, 0.1))
        first = proxies[0].endpoint
        retry = Retry(NoBackoff(), 8)
        with redis.Redis(first.host, first.port, retry=retry, retry_on_error=[redis.ConnectionError]) as client:
            for _ in range(300):
                client.incr("a")
            self.assertEqual(int(client.get("a") or 0), 300 + proxies[0].cut)
        self.assertGreater(proxies[0].cut, 10)

    def test_single_commands(self) -> None:
        """A counter that thousands of visits go through must be right to the last one."""
        proxies = self.through_proxies(self.cluster, sometimes(2, 0.05, parts=True))
        client = self.client(proxies)
        counted = [client.incr("a") for _ in range(2_000)]
        self.assertEqual(counted, [*range(1, 2_001)])
        self.assertEqual(client.append("text", "xy"), 2)
        self.assertGreater(sum(proxy.cut for proxy in proxies), 50)

    def test_many_threads(self) -> None:
        """Threads share a client, and each gets its own answers."""
        proxies = self.through_proxies(self.cluster, sometimes(3, 0.1, parts=True))
        client = self.client(proxies)
        found: list[int] = []

        def count() -> None:
            for _ in range(100):
                found.append(client.incr("a"))

        threads = [threading.Thread(target=count) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(found), [*range(1, 1_001)])

    def test_pipelines(self) -> None:
        """Some of the answers of a pipeline came, and others not."""
        proxies = self.through_proxies(self.cluster, sometimes(4, 0.2, parts=True))
        client = self.client(proxies, protocol=3, decode_responses=True)
        for number in range(100):
            pipeline = client.pipeline(transaction=False)
            for _ in range(10):
                pipeline.incr("a").append("b", "x").get("c")
            found = pipeline.execute()
            counted = [*range(number * 10 + 1, number * 10 + 11)]
            self.assertEqual((found[0::3], found[1::3], found[2::3]), (counted, counted, [None] * 10))
        self.assertGreater(sum(proxy.cut for proxy in proxies), 10)

    def test_transactions(self) -> None:
        """Both accounts of a transfer change, or none, and once."""
        proxies = self.through_proxies(self.cluster, sometimes(5, 0.2, parts=True))
        client = self.client(proxies)
        for number in range(1, 201):
            self.assertEqual(client.pipeline().incr("a").decr("b").execute(), [number, -number])
        self.assertGreater(sum(proxy.cut for proxy in proxies), 20)

    def test_transactions_with_watch(self) -> None:
        """Read, compute, write: from several threads, through connections that end, none is lost and none repeated."""
        proxies = self.through_proxies(self.cluster, sometimes(6, 0.2, parts=True))
        client = self.client(proxies)

        def add(pipeline: Any) -> None:
            value = int(pipeline.get("a") or 0)
            pipeline.multi()
            pipeline.set("a", value + 1)
            pipeline.incr("b")

        def count() -> None:
            for _ in range(60):
                client.transaction(add, "a")

        threads = [threading.Thread(target=count) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((client.get("a"), client.get("b")), (b"180", b"180"))
        self.assertGreater(sum(proxy.cut for proxy in proxies), 20)

    def test_asyncio(self) -> None:
        """The same for programs on asyncio: single commands at once, transactions, and WATCH."""
        proxies = self.through_proxies(self.cluster, sometimes(7, 0.1, parts=True))

        async def add(pipeline: Any) -> None:
            value = int(await pipeline.get("c") or 0)
            pipeline.multi()
            pipeline.set("c", value + 1)
            pipeline.incr("d")

        async def main() -> list[Any]:
            nodes = [proxy.endpoint for proxy in proxies]
            client = AsyncRedis(nodes=nodes, deadline_seconds=60.0)
            try:
                turns = asyncio.Semaphore(20)

                async def count() -> int:
                    async with turns:
                        return int(await client.incr("a"))

                counted = await asyncio.gather(*[count() for _ in range(1_000)])
                for number in range(1, 101):
                    pipeline = client.pipeline(transaction=number % 2 == 0)
                    self.assertEqual(await pipeline.incr("b").append("e", "x").execute(), [number, number])
                    await client.transaction(add, "c")
                return [sorted(counted), await client.mget("c", "d")]
            finally:
                await client.aclose()

        counted, values = asyncio.run(main())
        self.assertEqual(counted, [*range(1, 1_001)])
        self.assertEqual(values, [b"100", b"100"])
        self.assertGreater(sum(proxy.cut for proxy in proxies), 50)

    def test_a_scan(self) -> None:
        """Whoever clears a cache by a pattern finds all its keys, also where connections end in between."""
        pages = 0

        def judge(asked: bytes, answer: bytes) -> int | None:
            nonlocal pages
            pages += b"SCAN" in asked
            return 0 if b"SCAN" in asked and pages in (3, 7) else None

        proxies = self.through_proxies(self.cluster, judge)
        client = self.client(proxies, protocol=3)
        client.mset({f"key:{number}": number for number in range(1_000)})
        found = set(client.scan_iter("key:*", 200))
        self.assertEqual(found, {b"key:%d" % number for number in range(1_000)})
        self.assertEqual(sum(proxy.cut for proxy in proxies), 2)

    def test_locks(self) -> None:
        """redis-py's lock is three scripts: a holder whose answer is lost holds the lock, and gives it back once."""
        proxies = self.through_proxies(self.cluster, sometimes(10, 0.3))
        client = self.client(proxies)
        for number in range(50):
            lock = client.lock("lock", timeout=60.0, blocking=False)
            self.assertTrue(lock.acquire())
            self.assertTrue(lock.extend(10.0))
            self.assertTrue(lock.reacquire())
            lock.release()
            self.assertFalse(lock.locked())
            self.assertEqual(client.incr("a"), number + 1)
        self.assertGreater(sum(proxy.cut for proxy in proxies), 50)

    def test_frameworks(self) -> None:
        """Django's cache, django-redis and Flask-Session can be given the class: docs/client.md says how."""
        proxies = self.through_proxies(self.cluster, sometimes(9, 0.1))
        nodes = ",".join(str(proxy.endpoint) for proxy in proxies)
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-m", "tests.integration.once_program", nodes],
            capture_output=True,
            text=True,
            timeout=PROGRAM_SECONDS,
            check=False,
            env=child_environment(),
        )
        self.assertEqual((ended.returncode, ended.stdout), (0, "all well\n"), ended.stderr)
        self.assertGreater(sum(proxy.cut for proxy in proxies), 10)

    def test_the_demonstration(self) -> None:
        """docs/client.md shows what it prints: redis-py counts too often, and ours is right."""
        nodes = [f"{HOST}:{node.port}" for node in self.cluster.nodes]
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-m", "dkv.client.redis", *nodes],
            capture_output=True,
            text=True,
            timeout=PROGRAM_SECONDS,
            check=False,
            env=child_environment(),
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        plain, once = ended.stdout.splitlines()
        found = [
            re.fullmatch(r"\S+ +500 times INCR, (\d+) answers cut off: the counter is (\d+)", each)
            for each in (plain, once)
        ]
        assert found[0] and found[1], ended.stdout
        self.assertEqual(int(found[0][2]), 500 + int(found[0][1]))
        self.assertEqual(int(found[1][2]), 500)
        self.assertGreater(int(found[1][1]), 5)

    def test_a_token_that_was_used_up(self) -> None:
        """A transaction that was given up, by an empty one with its token, is refused when it arrives late."""
        connection = self.cluster.nodes[1].connect()
        self.addCleanup(connection.close)
        for words in (("MULTI",), ("IDMP", "given-up", 1, "EXEC")):
            answer = connection.call(*words)
        self.assertEqual(answer, [])
        connection.call("WATCH", "a")
        connection.call("MULTI")
        connection.call("INCR", "a")
        refusal = self.assertRaises(Refused, connection.call, "IDMP", "given-up", 1, "EXEC")
        self.assertTrue(str(refusal).startswith("IDMPMISMATCH "), refusal)
        self.assertEqual(connection.call("GET", "a"), None)


class LeaderDiesTests(ProxiedTests):
    def test_a_node_that_stands_still(self) -> None:
        """Its writes are sent to another node, and happen again nowhere when it goes on."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        leader = cluster.leader()
        others = [node for node in cluster.nodes if node is not leader]
        nodes = [f"{HOST}:{node.port}" for node in (leader, *others)]
        with Redis(nodes=nodes, socket_timeout=1.0, deadline_seconds=60.0) as client:
            self.assertEqual([client.incr("a") for _ in range(50)], [*range(1, 51)])
            stood_still = threading.Timer(0.0, leader.signal, (signal.SIGSTOP,))
            stood_still.start()
            self.assertEqual([client.incr("a") for _ in range(200)], [*range(51, 251)])
            stood_still.join()
            leader.signal(signal.SIGCONT)
            cluster.wait_ready()
            self.assertEqual(client.incr("a"), 251)
            self.assertEqual(leader.call("GET", "a"), b"251")

    def test_the_leader_is_killed_under_cut_connections(self) -> None:
        """A fail-over that loses no counted visit, counts none twice, and shows no error."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        leader = cluster.leader()
        proxies = self.through_proxies(cluster, sometimes(8, 0.05, parts=True))
        proxies.sort(key=lambda proxy: proxy.target.port != leader.port)  # all clients are at the leader
        client = self.client(proxies)
        jobs: list[tuple[str, Callable[[], Any]]] = [
            ("a", lambda: client.incr("a")),
            ("b", lambda: client.pipeline().incr("b").execute()[0]),
            ("c", lambda: client.pipeline(transaction=False).incr("c").execute()[0]),
        ]
        found: dict[str, list[int]] = {name: [] for name, _ in jobs}
        half = threading.Barrier(len(jobs) + 1)

        def count(name: str, job: Callable[[], Any]) -> None:
            for number in range(400):
                if number == 200:
                    half.wait(60.0)
                found[name].append(job())

        threads = [threading.Thread(target=count, args=each) for each in jobs]
        for thread in threads:
            thread.start()
        half.wait(60.0)
        leader.kill()
        for thread in threads:
            thread.join()
        self.assertEqual(found, {name: [*range(1, 401)] for name, _ in jobs})

    def test_a_subscriber_whose_node_is_killed(self) -> None:
        """It hears what is published after a long silence, and goes on at another node without an error."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        nodes = [f"{HOST}:{node.port}" for node in cluster.nodes]
        heard: list[bytes] = []
        quiet = 0.5
        client = Redis(nodes=nodes, socket_timeout=quiet)
        self.addCleanup(client.close)
        subscriber = client.pubsub(ignore_subscribe_messages=True)
        subscriber.subscribe("news")

        def listen() -> None:
            for message in subscriber.listen():
                heard.append(message["data"])
                if message["data"] == b"end":
                    return

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        thread.join(3 * quiet)  # nothing is published for so long
        with Redis(nodes=nodes[1:]) as other:
            wait_until(lambda: other.publish("news", "one") and heard, 10.0, "nothing was heard")
            cluster.nodes[0].kill()
            wait_until(lambda: other.publish("news", "end") and not thread.is_alive(), 20.0, "the end was not heard")
        self.assertEqual((heard[0], heard[-1]), (b"one", b"end"))
        subscriber.close()
