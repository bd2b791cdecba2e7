"""Events of keys from real nodes: subscribers of all nodes hear the same, in the same order, whatever happens."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import redis
from twisted.trial.unittest import TestCase

from tests.integration.processes import RealCluster, RealNode, wait_until

SETTING = "notify-keyspace-events"
CHANNELS = b"__keyevent@*__:*"
WRITERS = 4
WRITES = 150
SHORT_MS = 300

Told = tuple[bytes, bytes]
"""The channel, and the key that it was told."""


class Listener:
    """A subscriber to all events at one node, in a thread of its own, until its connection ends."""

    def __init__(self, node: RealNode) -> None:
        self.told: list[Told] = []
        self._subscription: Any = redis.Redis(port=node.port, protocol=2).pubsub()
        self._subscription.psubscribe(CHANNELS)
        confirmed = self._subscription.get_message(timeout=10)
        assert confirmed is not None and confirmed["type"] == "psubscribe", confirmed
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        connection = self._subscription.connection
        try:
            while True:
                _, _, channel, key = connection.read_response(timeout=60)
                self.told.append((channel, key))
        except (redis.RedisError, OSError, ValueError, AttributeError):
            return  # its node has ended, or the test has

    def has_heard(self, key: bytes) -> bool:
        """Whether it was told that this key was set."""
        return (b"__keyevent@0__:set", key) in self.told[-2_000:]

    def close(self) -> None:
        """Hang up."""
        self._subscription.connection.disconnect()
        self._thread.join(10)


class KeyEventsTest(TestCase):
    """What people hear at one node is what they would have heard at any other."""

    def begin(self, mode: str) -> RealCluster:
        """A cluster that tells all events."""
        cluster = RealCluster(mode=mode)
        self.addCleanup(cluster.close)
        cluster.start()
        self.assertEqual(cluster.nodes[1].call("CONFIG", "SET", SETTING, "KEAn"), "OK")
        for node in cluster.nodes:
            self.wait_for_setting(node)
        return cluster

    def wait_for_setting(self, node: RealNode) -> None:
        """Wait until the node has applied it."""

        def is_told() -> bool:
            told: list[bytes] = node.call("CONFIG", "GET", SETTING)
            return told == [SETTING.encode(), b"AKE"]

        wait_until(is_told, 20.0, f"node {node.number} knows which events are wanted")

    def listen(self, node: RealNode) -> Listener:
        """A subscriber at this node."""
        listener = Listener(node)
        self.addCleanup(listener.close)
        return listener

    def load(self, nodes: list[RealNode], half: threading.Event) -> list[threading.Thread]:
        """Writers at these nodes; ``half`` is set when one of them is half way. Errors are theirs to bear."""

        def write(number: int) -> None:
            no_retry: Any = None  # it sends nothing twice
            client: Any = redis.Redis(port=nodes[number % len(nodes)].port, retry=no_retry, socket_timeout=10)
            for step in range(WRITES):
                name = f"{number}.{step}"
                try:
                    client.set(f"short.{name}", step, px=SHORT_MS)
                    client.pipeline().incr("count").append("text", "x").delete("text").execute()
                    client.mset({f"one.{number}": step, f"other.{number}": step})
                    client.set(f"touched.{number}", step, px=1 + step % 5)
                except redis.RedisError:
                    continue  # the leader is dead: the next write may come through
                if step == WRITES // 2:
                    half.set()

        threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
        for thread in threads:
            thread.start()
        return threads

    def end(self, node: RealNode, listeners: list[Listener], key: bytes) -> None:
        """Let all keys that expire be gone, set a last key, and wait until all have heard of it."""
        connection = node.connect(30.0)
        self.addCleanup(connection.close)
        wait_until(lambda: not connection.call("KEYS", "short.*"), 20.0, "the last key expires")
        self.assertEqual(connection.call("SET", key, "1"), "OK")
        wait_until(lambda: all(each.has_heard(key) for each in listeners), 20.0, "all subscribers hear of the last key")

    def check_events(self, told: list[Told]) -> None:
        """Each key that was given a deadline has expired, once, after it was set."""
        counts = Counter(told)
        short = [key for channel, key in told if key.startswith(b"short.") and channel.endswith(b":set")]
        self.assertGreater(len(short), WRITERS * WRITES // 3)
        self.assertEqual(len(short), len(set(short)))
        for key in short:
            self.assertEqual(counts[b"__keyevent@0__:expired", key], 1, key)
            self.assertEqual(counts[b"__keyevent@0__:new", key], 1, key)
        for number in range(WRITERS):
            key = b"touched.%d" % number
            self.assertEqual(counts[b"__keyevent@0__:expired", key], counts[b"__keyevent@0__:new", key], key)

    def test_a_leader_is_killed_under_load(self) -> None:
        """Two nodes that go on tell the same; the third has told the beginning of it, and goes on after its start."""
        cluster = self.begin("leader")
        leader = cluster.leader()
        others = [node for node in cluster.nodes if node is not leader]
        first, second, lost = (self.listen(node) for node in (*others, leader))
        half = threading.Event()
        threads = self.load(others, half)
        self.assertTrue(half.wait(60))
        leader.kill()
        leader.start()
        cluster.wait_ready()
        self.wait_for_setting(leader)
        again = self.listen(leader)
        for thread in threads:
            thread.join(120)
        self.end(others[0], [first, second, again], b"the end")
        self.assertEqual(first.told, second.told)
        self.assertEqual(lost.told, first.told[: len(lost.told)])
        self.assertGreater(len(lost.told), 100)
        self.assertEqual(again.told, first.told[len(first.told) - len(again.told) :])
        self.check_events(first.told)

    def test_classic_mode(self) -> None:
        """Where nobody leads it is the same."""
        cluster = self.begin("classic")
        listeners = [self.listen(node) for node in cluster.nodes]
        for thread in self.load(cluster.nodes, threading.Event()):
            thread.join(120)
        self.end(cluster.nodes[0], listeners, b"the end")
        for listener in listeners[1:]:
            self.assertEqual(listener.told, listeners[0].told)
        self.check_events(listeners[0].told)

    def test_all_nodes_are_stopped(self) -> None:
        """The setting is there when they come back, and nothing of before is told again."""
        cluster = self.begin("leader")
        cluster.nodes[0].call("SET", "before", "1")
        for node in cluster.nodes:
            node.kill()
        cluster.start()
        listeners = [self.listen(node) for node in cluster.nodes]
        cluster.nodes[2].call("SET", "after", "1")
        wait_until(lambda: all(each.has_heard(b"after") for each in listeners), 20.0, "all hear of a write")
        for listener in listeners:
            self.assertEqual(listener.told, [(b"__keyevent@0__:new", b"after"), (b"__keyevent@0__:set", b"after")])
