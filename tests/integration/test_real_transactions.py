"""Transactions on real nodes, by clients as people use them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import HOST, Connection, RealNode, shared_cluster

ADDERS = 6
ADDED = 20


class TransactionsTest(SynchronousTestCase):
    """Three nodes that stay."""

    def setUp(self) -> None:
        self.nodes = shared_cluster().nodes

    def connect(self, node: RealNode) -> Connection:
        connection = node.connect()
        self.addCleanup(connection.close)
        return connection

    def test_compare_and_set_on_all_nodes(self) -> None:
        """Clients of all nodes count in one key by WATCH, GET and SET, as redis-py does it: nothing is lost."""
        self.nodes[0].call("SET", "counter", 0)

        def add(number: int) -> None:
            client: Any = redis.Redis(HOST, self.nodes[number % 3].port, socket_timeout=30.0, protocol=2 + number % 2)

            def once(pipeline: Any) -> None:
                value = int(pipeline.get("counter"))
                pipeline.multi()
                pipeline.set("counter", value + 1)

            with client:
                for _ in range(ADDED):
                    client.transaction(once, "counter")

        with ThreadPoolExecutor(ADDERS) as pool:
            list(pool.map(add, range(ADDERS)))
        self.assertEqual(self.nodes[1].call("GET", "counter"), b"%d" % (ADDERS * ADDED))

    def test_watched_on_one_node_and_changed_on_another(self) -> None:
        """A change, an erasure and an expiry count wherever they were asked for; a read does not."""
        first, second = self.connect(self.nodes[0]), self.connect(self.nodes[1])
        for change, happens in (
            (("SET", "watched", "2"), False),
            (("SET", "watched", "1"), False),
            (("DEL", "watched"), False),
            (("PEXPIRE", "watched", "1"), False),
            (("GET", "watched"), True),
            (("SET", "another", "1"), True),
        ):
            first.call("SET", "watched", "1")
            first.call("DEL", "done")
            self.assertEqual(first.call("WATCH", "watched"), "OK")
            second.call(*change)
            self.assertEqual(first.call("MULTI"), "OK")
            self.assertEqual(first.call("SET", "done", "1"), "QUEUED")
            self.assertEqual(first.call("EXEC"), ["OK"] if happens else None, change)
            self.assertEqual(second.call("EXISTS", "done"), int(happens))

    def test_in_one_write(self) -> None:
        """A client may write everything at once, and the replies stand in their places."""
        connection = self.connect(self.nodes[2])
        text = "SET a 1|WATCH a|MULTI|INCR a|PING|SELECT 3|SET a 3|EXEC|GET a|SELECT 0|GET a"
        requests = [line.split() for line in text.split("|")]
        for request in requests:
            connection.send(*request)
        replies = [connection.read() for _ in requests]
        self.assertEqual(replies[:3], ["OK", "OK", "OK"])
        self.assertEqual(replies[7:], [[2, "PONG", "OK", "OK"], b"3", "OK", b"2"])

    def test_with_a_token(self) -> None:
        """The same transaction sent again through another node gets the first answer, and is not executed again."""
        self.nodes[0].call("DEL", "log")
        self.addCleanup(self.nodes[0].call, "DEL", "log")
        for node in self.nodes:
            connection = self.connect(node)
            connection.call("WATCH", "log")
            connection.call("MULTI")
            connection.call("APPEND", "log", "x")
            connection.call("STRLEN", "log")
            self.assertEqual(connection.call("IDMP", "transactions", 1, "EXEC"), [1, 1])
        self.assertEqual(self.nodes[0].call("GET", "log"), b"x")

    def test_ten_thousand_requests(self) -> None:
        """A transaction may have as many requests as one request may have words."""
        client: Any = redis.Redis(HOST, self.nodes[0].port, socket_timeout=60.0)
        with client, client.pipeline(transaction=True) as pipeline:
            for number in range(10_000):
                pipeline.set(f"many:{number % 100}", number)
            self.assertEqual(pipeline.execute(), [True] * 10_000)
        self.assertEqual(self.nodes[1].call("GET", "many:99"), b"9999")
        self.nodes[1].call("DEL", *(f"many:{number}" for number in range(100)))
