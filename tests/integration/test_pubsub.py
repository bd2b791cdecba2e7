"""Publish/subscribe among real processes: under load, with a subscriber that does not read, and nodes that die."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any
from unittest import SkipTest

import redis
import redis.asyncio
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import HOST, Connection, RealCluster, RealNode, wait_until
from tests.integration.test_hostile_clients import resident_kib

LONG = 20.0
UNREAD_LIMIT = 2 << 20


class Subscriber:
    """A subscriber of one node by redis-py, and what it has got."""

    def __init__(self, node: RealNode, protocol: int, *channels: str, patterns: tuple[str, ...] = ()) -> None:
        self._client = redis.Redis(host=HOST, port=node.port, protocol=protocol, socket_timeout=LONG)
        self._pubsub = self._client.pubsub()
        if channels:
            self._pubsub.subscribe(*channels)
        if patterns:
            self._pubsub.psubscribe(*patterns)
        self.got: list[bytes] = []
        self.confirmed = 0
        names = len(channels) + len(patterns)
        wait_until(lambda: self.has_got(0)() and self.confirmed == names, LONG, "no confirmation")

    def look(self) -> None:
        """Take in what has come."""
        while (message := self._pubsub.get_message(timeout=0.01)) is not None:
            if message["type"] in ("message", "pmessage"):
                self.got.append(message["data"])
            else:
                self.confirmed += 1

    def has(self, *texts: bytes) -> Callable[[], bool]:
        """A condition: it has got these in the end."""

        def condition() -> bool:
            self.look()
            return self.got[-len(texts) :] == list(texts)

        return condition

    def has_got(self, count: int) -> Callable[[], bool]:
        """A condition: it has got so many messages."""

        def condition() -> bool:
            self.look()
            return len(self.got) >= count

        return condition

    def close(self) -> None:
        """End it."""
        self._pubsub.close()
        self._client.close()


class PubSubTests(SynchronousTestCase):
    """Three nodes of their own: some are killed."""

    def setUp(self) -> None:
        self.cluster = RealCluster(3, f"[limits]\nsubscriber_bytes_max = {UNREAD_LIMIT}\n")
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.cluster.wait_ready()
        self.nodes = self.cluster.nodes

    def subscriber(self, node: RealNode, protocol: int, *channels: str, patterns: tuple[str, ...] = ()) -> Subscriber:
        subscriber = Subscriber(node, protocol, *channels, patterns=patterns)
        self.addCleanup(subscriber.close)
        return subscriber

    def wait_counted(self, node: RealNode, channel: str, count: int) -> None:
        """Wait until this node counts so many subscribers in the cluster."""
        expected = [channel.encode(), count]
        wait_until(lambda: node.call("PUBSUB", "NUMSUB", channel) == expected, LONG, f"{count} subscribers")

    def test_all_nodes_under_load_and_a_kill(self) -> None:
        """What is published on any node arrives once, in order, on all others; a node that was killed is back."""
        subscribers = [
            self.subscriber(node, 2 + place % 2, "news", patterns=("ne*",) if place == 2 else ())
            for place, node in enumerate(self.nodes)
        ]
        for node in self.nodes:
            self.wait_counted(node, "news", 3)
            self.assertEqual(node.call("PUBSUB", "NUMPAT"), 1)
        self.load(subscribers, self.nodes, 300)
        victim = self.nodes[1]
        victim.kill()
        for node in (self.nodes[0], self.nodes[2]):
            self.wait_counted(node, "news", 2)
        rest = [subscribers[0], subscribers[2]]
        self.load(rest, [self.nodes[0], self.nodes[2]], 100)
        victim.start()
        self.cluster.wait_ready()
        subscribers[1] = self.subscriber(victim, 3, "news")
        for node in self.nodes:
            self.wait_counted(node, "news", 3)
        self.load(subscribers, self.nodes, 100)

    def load(self, subscribers: list[Subscriber], nodes: list[RealNode], count: int) -> None:
        """Publish on all ``nodes``, pipelined behind writes; every subscriber gets all of it, each node's in order."""
        for subscriber in subscribers:
            subscriber.got.clear()
        connections = [Connection(node.port, LONG) for node in nodes]
        for number in range(count):
            for place, connection in enumerate(connections):
                connection.send("SET", f"k{place}", number)
                connection.send("PUBLISH", "news", f"{place}.{number}")
        for connection in connections:
            for _ in range(2 * count):
                connection.read()
            connection.close()
        for subscriber in subscribers:
            times = subscriber.confirmed  # one message for each name
            wanted = times * count * len(nodes)
            wait_until(subscriber.has_got(wanted), LONG, f"{wanted} messages")
            self.assertEqual(len(subscriber.got), wanted)
            for place in range(len(nodes)):
                numbers = [int(text.split(b".")[1]) for text in subscriber.got if text.startswith(b"%d." % place)]
                self.assertEqual(numbers, sorted(numbers))
                self.assertEqual(len(numbers), times * count)

    def test_one_that_does_not_read(self) -> None:
        """It is cut off, the node's memory stays as it was, and its neighbour misses nothing."""
        node = self.nodes[0]
        neighbour = self.subscriber(node, 3, "flood", "end")
        slow = socket.socket()
        self.addCleanup(slow.close)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((HOST, node.port))
        slow.sendall(b"SUBSCRIBE flood\r\n")
        self.wait_counted(node, "flood", 2)
        before, text = resident_kib(node), b"x" * 100_000
        publisher = Connection(self.nodes[2].port, LONG)
        self.addCleanup(publisher.close)
        for number in range(300):
            publisher.call("PUBLISH", "flood", b"%d " % number + text)
            neighbour.look()
        publisher.call("PUBLISH", "end", "end")
        wait_until(neighbour.has(b"end"), LONG, "the neighbour missed the end")
        self.assertEqual([int(each.split(b" ")[0]) for each in neighbour.got[:-1]], [*range(300)])
        self.wait_counted(node, "flood", 1)
        lines = node.wait_logged("subscriber_cut_off")
        self.assertIn("limits.subscriber_bytes_max", lines[0]["reason"])
        self.assertLess(resident_kib(node) - before, 40 << 10)

    def test_a_stopped_node(self) -> None:
        """A flood towards a node that stands still neither fills the publisher's memory nor disturbs the log."""
        stopped = next(node for node in self.nodes if node is not self.cluster.leader())
        first, second = (node for node in self.nodes if node is not stopped)
        subscriber = self.subscriber(second, 3, "flood", "end")
        before, text = resident_kib(first), b"x" * 200_000
        until, number = time.monotonic() + 1.5, 0  # less than the silence after which the peer is given up
        stopped.signal(signal.SIGSTOP)
        try:
            while time.monotonic() < until:
                first.call("PUBLISH", "flood", b"%d " % number + text)
                self.assertEqual(first.call("SET", "k", number), "OK")
                subscriber.look()
                number += 1
        finally:
            stopped.signal(signal.SIGCONT)
        first.call("PUBLISH", "end", "end")
        wait_until(subscriber.has(b"end"), LONG, "the end")
        self.assertEqual([int(each.split(b" ")[0]) for each in subscriber.got[:-1]], [*range(number)])
        self.assertLess(resident_kib(first) - before, 60 << 10)

    def test_asyncio(self) -> None:
        """redis-py's other client, in both protocols."""

        async def talk(protocol: int) -> list[Any]:
            listener = redis.asyncio.Redis(host=HOST, port=self.nodes[0].port, protocol=protocol)
            speaker = redis.asyncio.Redis(host=HOST, port=self.nodes[1].port, protocol=protocol)
            got: list[Any] = []
            async with listener.pubsub() as pubsub:
                await pubsub.subscribe("a")
                await pubsub.psubscribe("a*")
                while len(got) < 2:
                    message = await pubsub.get_message(timeout=LONG)
                    got += [message["type"]] if message else []
                await speaker.publish("a", "hello")
                while len(got) < 4:
                    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=LONG)
                    got += [(message["type"], message["data"])] if message else []
            await listener.aclose()
            await speaker.aclose()
            return got

        for protocol in (2, 3):
            expected = ["subscribe", "psubscribe", ("message", b"hello"), ("pmessage", b"hello")]
            self.assertEqual(asyncio.run(talk(protocol)), expected)

    def test_redis_cli(self) -> None:
        """People listen with redis-cli."""
        cli = shutil.which("redis-cli")
        if cli is None:
            raise SkipTest("redis-cli is not installed")
        listener = subprocess.Popen(
            [cli, "-p", str(self.nodes[0].port), "subscribe", "news"], stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(listener.wait)
        self.addCleanup(listener.kill)
        wait_until(lambda: self.nodes[2].call("PUBLISH", "news", "hello") == 1, LONG, "nobody has subscribed")
        assert listener.stdout is not None
        self.addCleanup(listener.stdout.close)
        lines = [listener.stdout.readline().strip() for _ in range(6)]
        self.assertEqual(lines, ["subscribe", "news", "1", "message", "news", "hello"])
