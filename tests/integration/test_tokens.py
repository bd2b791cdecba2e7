"""A write with a token happens once, whoever sends it again, where and when."""

from __future__ import annotations

import threading
from itertools import cycle

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import HOST, Connection, RealCluster, RealNode, Refused, shared_cluster, wait_until


def connected(node: RealNode) -> Connection | None:
    """A connection to the node, if it takes one."""
    try:
        return node.connect(2.0)
    except OSError:
        return None


class RestartTest(SynchronousTestCase):
    """A retry that is executed twice, or lost, is what a user sees if one of these fails."""

    def setUp(self) -> None:
        self.cluster = RealCluster()
        self.addCleanup(self.cluster.close)
        self.cluster.start()

    def test_anywhere_and_after_every_restart(self) -> None:
        """Each node knows the answer, also after kill -9 of all of them, and after a clean stop."""
        append = ("IDMP", "alice", 7, "APPEND", "k", "xy")
        self.assertEqual([node.call(*append) for node in self.cluster.nodes], [2, 2, 2])
        for node in self.cluster.nodes:
            node.kill()
        self.cluster.start()
        self.assertEqual([node.call(*append) for node in self.cluster.nodes], [2, 2, 2])
        for node in self.cluster.nodes:
            node.stop()
        self.cluster.start()
        self.assertEqual([node.call(*append) for node in self.cluster.nodes], [2, 2, 2])
        self.assertEqual(self.cluster.nodes[1].call("GET", "k"), b"xy")
        self.assertEqual(self.cluster.nodes[2].call("IDMP", "alice", 3, "APPEND", "k", "z"), 3)
        for node in self.cluster.nodes:
            refusal = self.assertRaises(Refused, node.call, "IDMP", "alice", 3, "DEL", "k")
            self.assertTrue(str(refusal).startswith("IDMPMISMATCH "), refusal)
        self.assertEqual(self.cluster.nodes[0].call("GET", "k"), b"xyz")

    def test_the_leader_dies_under_retries(self) -> None:
        """A client that sends again whatever was not answered, elsewhere, appends 300 times, not once more or less."""
        leader = self.cluster.leader()
        nodes = cycle([leader, *(node for node in self.cluster.nodes if node is not leader)])
        connection = next(nodes).connect()
        for op in range(1, 301):
            if op == 100:
                leader.kill()
            length = None
            while length is None:
                try:
                    length = connection.call("IDMP", "counter", op, "APPEND", "count", "+")
                except (OSError, EOFError, Refused):
                    connection.close()
                    connection = wait_until(lambda: connected(next(nodes)), 10.0, "a node takes connections")
            self.assertEqual(length, op)
        self.assertEqual(connection.call("GET", "count"), b"+" * 300)
        connection.close()


class TokenTest(SynchronousTestCase):
    """The same while all nodes run."""

    def setUp(self) -> None:
        self.cluster = shared_cluster()

    def test_at_once_on_all_nodes(self) -> None:
        """Twelve clients send the same hundred writes at the same time: each happens once, all get its answer."""
        answers: dict[int, list[int]] = {op: [] for op in range(1, 101)}

        def send(node: RealNode) -> None:
            connection = node.connect()
            for op in answers:
                connection.send("IDMP", "crowd", op, "APPEND", "crowd", f"{op}.")
            for op in answers:
                answers[op].append(connection.read())
            connection.close()

        threads = [threading.Thread(target=send, args=(node,)) for node in self.cluster.nodes * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual({len(set(each)) for each in answers.values()}, {1})
        self.assertEqual({len(each) for each in answers.values()}, {12})
        value = self.cluster.nodes[0].call("GET", "crowd").decode()
        self.assertEqual(sorted(map(int, value.split(".")[:-1])), list(answers))

    def test_issued_producers(self) -> None:
        """IDMP NEW names a producer that no other client has; a name that was never issued executes nothing."""
        names = [node.call("IDMP", "NEW") for node in self.cluster.nodes]
        self.assertEqual(len(set(names)), 3)
        for name, node in zip(names, self.cluster.nodes, strict=True):
            self.assertRegex(name, rb"\A#[1-9][0-9]*\.[0-9]+\Z")
            self.assertEqual(node.call("IDMP", name, 1, "PUT", name, "v"), "OK")
        refusal = self.assertRaises(Refused, self.cluster.nodes[0].call, "IDMP", "#999999.0", 1, "PUT", "never", "v")
        self.assertTrue(str(refusal).startswith("IDMPOLD "))
        self.assertIsNone(self.cluster.nodes[1].call("GET", "never"))

    def test_inline_and_resp3(self) -> None:
        """A person on telnet and a program on RESP3 get the same stored answer, each in its protocol."""
        connection = self.cluster.nodes[0].connect()
        connection.socket.sendall(b'IDMP bob 1 PUT greeting "hello world"\r\nidmp bob 1 set greeting "hello world"\r\n')
        self.assertEqual([connection.read(), connection.read()], ["OK", "OK"])
        connection.close()
        with Redis(HOST, self.cluster.nodes[2].port, protocol=3, retry=Retry(NoBackoff(), 0)) as client:
            self.assertEqual(client.execute_command("IDMP", "bob", "1", "PUT", "greeting", "hello world"), b"OK")
            self.assertEqual(client.get("greeting"), b"hello world")
