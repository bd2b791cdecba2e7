"""Libraries with a Sentinel setting fail over, and lose nothing that was acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import redis
import redis.asyncio.sentinel
from redis.asyncio.multidb.healthcheck import AbstractHealthCheck
from redis.exceptions import ClusterDownError, TryAgainError
from redis.multidb.client import MultiDBClient
from redis.multidb.config import DatabaseConfig, InitialHealthCheck, MultiDbConfig
from redis.sentinel import MasterNotFoundError, Sentinel
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.library_load import Load, NodeProgram, Writing, acknowledge, longest_pause
from tests.integration.network import Network
from tests.integration.processes import HOST, Connection, RealCluster, RealNode, Refused, wait_until

NAME = "test"
"""That of the cluster."""

logging.getLogger("redis.multidb").addHandler(logging.NullHandler())  # it would write to the terminal of the tests

SOCKET_SECONDS = 4.0
PAUSE_SECONDS_MAX = 10.0
"""Much more than an election and a library's pauses between its attempts; tests share the machine."""


class Serves(AbstractHealthCheck):
    """Ask a node whether it serves: to a PING it answers as long as its process runs."""

    async def check_health(self, database: Any, hc_client: Any) -> bool:
        return bool(await hc_client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME))


class FailOverTestCase(SynchronousTestCase):
    """Three nodes. Clients know the leader first, and so use it until it is gone."""

    settings = ""

    def setUp(self) -> None:
        self.cluster = RealCluster(settings=self.settings)
        self.prepare()
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.leader = self.cluster.leader()
        self.others = [node for node in self.cluster.nodes if node is not self.leader]
        self.addresses = [(HOST, node.port) for node in (self.leader, *self.others)]

        for node in self.cluster.nodes:
            wait_until(partial(self.reaches_all, node), 15.0, f"node {node.number} reaches both others")

    def reaches_all(self, node: RealNode) -> bool:
        try:
            return bool(node.call("SENTINEL", "CKQUORUM", NAME).startswith("OK 3 "))
        except Refused:
            return False

    def prepare(self) -> None:
        """What is to be done before the nodes start."""

    def load(self, write: Callable[[int], Any]) -> Load:
        load = Load(write)
        self.addCleanup(load.stop)
        acknowledge(load, 50)
        return load

    def program(self, library: str, package: str) -> NodeProgram:
        program = NodeProgram(library, package, NAME, self.addresses, self.cluster.directory / f"{library}.log")
        self.addCleanup(program.stop)
        acknowledge(program, 50)
        return program

    def check(self, load: Writing, prefix: str) -> None:
        """Nothing that was acknowledged is lost, nobody was told READONLY, and it did not take long."""
        load.stop()
        self.assertEqual([error for error in load.errors if "READONLY" in str(error)], [])
        self.assertLess(longest_pause(load), PAUSE_SECONDS_MAX)
        for node in self.others:
            with redis.Redis(HOST, node.port, socket_timeout=SOCKET_SECONDS) as reader:
                numbers = [number for _, number in load.acknowledged]
                values = reader.mget([f"{prefix}:{number}" for number in numbers])
                lost = [n for n, value in zip(numbers, values, strict=True) if value != b"%d" % n]
                self.assertEqual(lost, [], f"node {node.number}")

    def sentinel(self, **options: Any) -> Sentinel:
        sentinel = Sentinel(self.addresses, socket_timeout=SOCKET_SECONDS, **options)
        self.addCleanup(sentinel.close)
        return sentinel

    def master(self, sentinel: Sentinel) -> Any:
        client = sentinel.master_for(NAME)
        self.addCleanup(client.close)
        return client

    def listener(self, node: RealNode) -> Connection:
        """A client that has subscribed to all news."""
        connection = node.connect(15.0)
        self.addCleanup(connection.close)
        self.assertEqual(connection.call("PSUBSCRIBE", "[-+]*"), [b"psubscribe", b"[-+]*", 1])
        return connection

    def read_until(self, listener: Connection, channel: bytes, message: str) -> None:
        """Read the news up to this one; it raises if none comes for long."""
        while listener.read()[2:] != [channel, message.encode()]:
            pass

    def multi_db(self) -> Any:
        """redis-py's MultiDBClient, which checks whether nodes serve."""
        databases = [
            DatabaseConfig(
                weight=1.0 - index / 10, client_kwargs={"host": host, "port": port, "socket_timeout": SOCKET_SECONDS}
            )
            for index, (host, port) in enumerate(self.addresses)
        ]
        client = MultiDBClient(
            MultiDbConfig(
                databases_config=databases,
                health_checks=[Serves()],
                health_check_interval=0.5,
                min_num_failures=1,
                failures_detection_window=1,
                failover_delay=0.2,
                initial_health_check_policy=InitialHealthCheck.ONE_AVAILABLE,
            )
        )
        self.addCleanup(client.close)
        self.assertEqual(["experimental" in each["message"] for each in self.flushWarnings()], [True])
        return client

    def port_of(self, node: RealNode) -> tuple[str, int]:
        return (HOST, node.port)


class KilledLeaderTests(FailOverTestCase):
    """The leader is killed while a client writes to it."""

    def kill_under(self, load: Writing, prefix: str) -> None:
        self.leader.kill()
        acknowledge(load, 100)
        self.check(load, prefix)

    def test_redis_py(self) -> None:
        """redis-py's Sentinel goes to the next node; its replicas are the nodes that are left, and serve reads."""
        sentinel = self.sentinel()
        self.assertEqual(sentinel.discover_master(NAME), self.port_of(self.leader))
        client = self.master(sentinel)
        self.kill_under(self.load(lambda n: client.set(f"sync:{n}", n)), "sync")
        self.assertIn(sentinel.discover_master(NAME), map(self.port_of, self.others))
        replica = sentinel.slave_for(NAME)
        self.addCleanup(replica.close)
        self.assertEqual(replica.get("sync:0"), b"0")
        (found,) = sentinel.discover_slaves(NAME)
        self.assertIn(found, map(self.port_of, self.others))

    def test_redis_py_asyncio(self) -> None:
        """The same with its asyncio client."""
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)

        async def begin() -> Any:
            sentinel = redis.asyncio.sentinel.Sentinel(self.addresses, socket_timeout=SOCKET_SECONDS)
            return sentinel, sentinel.master_for(NAME)

        async def end() -> None:
            await client.aclose()
            for each in sentinel.sentinels:
                await each.aclose()

        sentinel, client = loop.run_until_complete(begin())
        self.addCleanup(lambda: loop.run_until_complete(end()))
        load = self.load(lambda n: loop.run_until_complete(client.set(f"aio:{n}", n)))
        self.kill_under(load, "aio")

    def test_ioredis(self) -> None:
        """ioredis with ``sentinels``."""
        self.kill_under(self.program("ioredis", "ioredis"), "p")

    def test_node_redis(self) -> None:
        """node-redis with ``createSentinel``."""
        self.kill_under(self.program("node-redis", "redis"), "p")

    def test_multi_db(self) -> None:
        """redis-py's MultiDBClient has the nodes as its databases: all of them hold the same."""
        client = self.multi_db()
        load = self.load(lambda n: client.set(f"multi:{n}", n))
        self.assertEqual(self.leader.call("GET", "multi:0"), b"0")
        self.kill_under(load, "multi")
        self.assertEqual(self.multi_db().get("multi:0"), b"0", "it starts with two of three nodes as well")


class LoneNodeTests(FailOverTestCase):
    """The network cuts the leader off, and its clients still reach it."""

    settings = "[timings]\nelection_seconds_min = 0.6\nelection_seconds_max = 2.0\nrequest_seconds = 2.5\n"

    def prepare(self) -> None:
        self.network = Network(self.cluster)
        self.addCleanup(self.network.close)

    def flags(self, node: RealNode) -> str:
        (fields,) = node.call("SENTINEL", "MASTERS")
        return str(dict(zip(fields[::2], fields[1::2], strict=True))[b"flags"].decode())

    def test_it_says_so(self) -> None:
        """Whoever asks it for the master is sent on, and back once it serves again."""
        self.assertEqual([self.flags(node) for node in self.cluster.nodes], ["master"] * 3)
        listener = self.listener(self.leader)
        self.network.isolate(self.leader.number)
        wait_until(lambda: self.flags(self.leader) == "s_down,master", 15.0, "the lone node is down")
        old, heir = f"{NAME} {HOST} {self.leader.port}", self.cluster.nodes[self.leader.number % 3]
        self.read_until(listener, b"+sdown", f"master {old}")
        self.read_until(listener, b"+switch-master", f"{old} {HOST} {heir.port}")
        self.assertIsNone(self.leader.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME))
        for node in self.others:
            self.assertEqual(self.flags(node), "master")
            self.assertEqual(node.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME), [HOST.encode(), b"%d" % node.port])
        alone = Sentinel(self.addresses[:1], socket_timeout=SOCKET_SECONDS)
        self.addCleanup(alone.close)
        with self.assertRaises(MasterNotFoundError):
            alone.discover_master(NAME)
        self.assertIn(self.sentinel().discover_master(NAME), map(self.port_of, self.others))
        self.network.heal()
        wait_until(lambda: self.flags(self.leader) == "master", 15.0, "it serves again")
        self.read_until(listener, b"-sdown", f"master {old}")

    def test_redis_py_walks_on(self) -> None:
        """A client whose connection lasts leaves the lone node at its refusal, if it is told to try again after it."""
        client = self.master(self.sentinel(retry_on_error=[ClusterDownError, TryAgainError]))
        load = self.load(lambda n: client.set(f"walk:{n}", n))
        self.network.isolate(self.leader.number)
        acknowledge(load, 100)
        self.check(load, "walk")

    def test_multi_db_walks_on(self) -> None:
        """redis-py's MultiDBClient leaves it by its health check."""
        client = self.multi_db()
        load = self.load(lambda n: client.set(f"multi:{n}", n))
        self.network.isolate(self.leader.number)
        acknowledge(load, 100)
        self.check(load, "multi")

    def test_ioredis_walks_on(self) -> None:
        """ioredis does so by itself if it listens to the news, and by the refusal if it is told to."""
        program = self.program("ioredis", "ioredis")
        self.network.isolate(self.leader.number)
        acknowledge(program, 100)
        self.check(program, "p")

    def test_node_redis_walks_on(self) -> None:
        """node-redis listens to the news by itself."""
        program = self.program("node-redis", "redis")
        self.network.isolate(self.leader.number)
        acknowledge(program, 100)
        self.check(program, "p")


class StoppedNodeTests(FailOverTestCase):
    def test_its_clients_hear_of_it(self) -> None:
        """Before their connections end they know where to go."""
        for node in (self.others[0], self.leader):
            listener = self.listener(node)
            node.stop()
            after = self.cluster.nodes[node.number % 3]
            third = next(each for each in self.cluster.nodes if each not in (node, after))
            heir = after if after.process is not None else third
            self.read_until(listener, b"+switch-master", f"{NAME} {HOST} {node.port} {HOST} {heir.port}")


class RefusedWordTests(FailOverTestCase):
    def test_the_log_names_the_library(self) -> None:
        """An operator reads which program needs what is not there."""
        with redis.Redis(HOST, self.leader.port) as client:
            for _ in range(3):
                with self.assertRaises(redis.ResponseError):
                    client.hset("hash", "field", "secret")
            (line,) = self.leader.wait_logged("word_refused")
        expected = {"word": "HSET", "library": "redis-py", "library_version": redis.__version__, "level": "info"}
        self.assertEqual({name: line[name] for name in expected}, expected)
        self.assertNotIn("secret", str(line))
