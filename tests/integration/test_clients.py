"""Real clients against real nodes: what a user has installed already works."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from typing import Any

import redis
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import HOST, Connection, RealNode, Refused, child_environment, shared_cluster

ANY_BYTES = bytes(range(256))


class ClientsTest(SynchronousTestCase):
    """Three nodes; writes go to one, reads to another."""

    def setUp(self) -> None:
        self.cluster = shared_cluster()
        self.first, self.second, self.third = self.cluster.nodes

    def connect(self, node: RealNode) -> Connection:
        connection = node.connect()
        self.addCleanup(connection.close)
        return connection

    def run_client(self, *command: str, text: str | None = None) -> str:
        """Run a client program to its end; what it printed."""
        ended = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=60.0, check=False, env=child_environment()
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), ended.stdout)
        return ended.stdout


class LibrariesTest(ClientsTest):
    """A program written for Redis must run against dkv with another address, nothing else."""

    def redis(self, node: RealNode, **options: Any) -> Any:
        client = redis.Redis(HOST, node.port, socket_timeout=10.0, **options)
        self.addCleanup(client.close)
        return client

    def check_redis_py(self, **options: Any) -> None:
        writer, reader = self.redis(self.first, **options), self.redis(self.second, **options)
        self.assertIs(writer.ping(), True)
        for value in (b"plain", b"", ANY_BYTES, b"*1\r\n$4\r\nPING\r\n"):
            self.assertIs(writer.set(ANY_BYTES, value), True)
            self.assertEqual(reader.get(ANY_BYTES), value)
        self.assertIsNone(reader.get("absent"))
        self.assertEqual(writer.append("log", "one,"), 4)
        self.assertEqual(reader.append("log", "two,"), 8)
        self.assertEqual(writer.get("log"), b"one,two,")
        self.assertEqual(reader.delete("log", "absent", ANY_BYTES), 2)
        self.assertEqual(writer.echo("hello"), b"hello")
        self.assertEqual(writer.info()["loading"], 0)
        self.assertGreater(writer.client_id(), 0)
        with self.assertRaises(redis.ResponseError) as refused:
            writer.hset("hash", "field", "value")
        self.assertIn("unknown command", str(refused.exception))

    def test_redis_py_resp3(self) -> None:
        """redis-py as it comes: HELLO 3, CLIENT SETINFO, binary keys and values."""
        self.check_redis_py()
        self.check_redis_py(protocol=3, client_name="me")

    def test_redis_py_resp2(self) -> None:
        """redis-py told to speak RESP2, as older programs do."""
        self.check_redis_py(protocol=2)

    def test_redis_py_pipelines(self) -> None:
        """A pipeline of writes and reads is answered in its order; each read shows the write before it."""
        for protocol in (2, 3):
            client = self.redis(self.third, protocol=protocol)
            pipeline = client.pipeline(transaction=False)
            expected: list[Any] = []
            for number in range(200):
                pipeline.set("counter", number)
                pipeline.get("counter")
                pipeline.echo(b"%d" % number)
                expected += [True, b"%d" % number, b"%d" % number]
            self.assertEqual(pipeline.execute(), expected)

    def test_redis_py_transactions(self) -> None:
        """A pipeline as redis-py makes it by itself is a transaction: all of it is done, or nothing."""
        for protocol in (2, 3):
            client = self.redis(self.first, protocol=protocol)
            pipeline = client.pipeline()
            pipeline.set("whole", "do")
            pipeline.append("whole", "ne")
            pipeline.get("whole")
            self.assertEqual(pipeline.execute(), [True, 4, b"done"])
            pipeline.delete("whole")
            pipeline.hset("hash", "field", "value")
            with self.assertRaises(redis.ResponseError) as refused:
                pipeline.execute()
            self.assertIn("unknown command 'HSET'", str(refused.exception))
            self.assertEqual(client.get("whole"), b"done")


class ToolsTest(ClientsTest):
    """What a user types in the first five minutes."""

    def test_redis_cli(self) -> None:
        """One command at a time as arguments, several from a pipe, and ECHO, which ``--pipe`` asks at its end."""
        cli = shutil.which("redis-cli")
        if cli is None:
            self.check_inline(self.first, self.second)
            return
        first, second = ([cli, "-h", HOST, "-p", str(node.port)] for node in (self.first, self.second))
        self.assertEqual(self.run_client(*first, "put", "x", "hello world"), "OK\n")
        self.assertEqual(self.run_client(*second, "get", "x"), "hello world\n")
        self.assertEqual(self.run_client(*second, "-3", "get", "x"), "hello world\n")
        self.assertEqual(self.run_client(*second, "append", "x", "!"), "12\n")
        self.assertEqual(self.run_client(*first, text="set y 1\nget y\ndel x y\nget x\n"), "OK\n1\n2\n\n")
        requests = "".join(f"*3\r\n$3\r\nSET\r\n$5\r\nk{n:04}\r\n$1\r\nv\r\n" for n in range(1000))
        self.assertIn("errors: 0, replies: 1000", self.run_client(*first, "--pipe", text=requests))
        self.assertEqual(self.second.call("GET", "k0999"), b"v")

    def test_redis_benchmark(self) -> None:
        """The benchmark that everyone runs first goes through without an error, plain and pipelined."""
        benchmark = shutil.which("redis-benchmark")
        for pipelined, count in ((1, 10_000), (16, 50_000)):
            if benchmark is None:
                self.check_load(pipelined, count // 5)
                continue
            command = [benchmark, "-h", HOST, "-p", str(self.first.port), "-t", "set,get", "-n", str(count), "-q"]
            output = self.run_client(*command, "-P", str(pipelined))
            finals = [line for line in output.replace("\r", "\n").splitlines() if "requests per second" in line]
            self.assertEqual([line.split(":")[0] for line in finals], ["SET", "GET"], output)
            self.assertNotIn("error", output.lower())
        for node in self.cluster.nodes:
            self.assertEqual(len(node.call("GET", "key:__rand_int__")), 3)

    def check_load(self, pipelined: int, count: int) -> None:
        """What redis-benchmark does: its questions at first, then SET and GET on 50 connections."""
        connections = [self.connect(self.first) for _ in range(50)]
        self.assertEqual(connections[0].call("CONFIG", "GET", "save"), [b"save", b""])
        for request, expected in ((["SET", "key:__rand_int__", "xxx"], "OK"), (["GET", "key:__rand_int__"], b"xxx")):
            for _ in range(count // 50 // pipelined):
                for connection in connections:
                    for _ in range(pipelined):
                        connection.send(*request)
                for connection in connections:
                    self.assertEqual([connection.read() for _ in range(pipelined)], [expected] * pipelined)

    def test_telnet(self) -> None:
        """A session typed by hand, in either case, with quotes, an empty line and a mistake; QUIT ends it."""
        self.check_inline(self.first, self.second)

    def check_inline(self, first: RealNode, second: RealNode) -> None:
        session = [
            (b"PUT x 1", b"+OK\r\n"),
            (b"get x", b"$1\r\n1\r\n"),
            (b"", b""),
            (b'Put greeting "hello \\x21 world"', b"+OK\r\n"),
            (b"GET greeting", b"$13\r\nhello ! world\r\n"),
            (b"GET absent", b"$-1\r\n"),
            (b"APPEND x 23", b":3\r\n"),
            (b"DELETE x greeting absent", b":2\r\n"),
            (b"GET", b"-ERR wrong number of arguments for 'get' command\r\n"),
            (b'PUT x "unbalanced', None),
        ]
        for node in (first, second):
            with socket.create_connection((HOST, node.port), 10.0) as typed, typed.makefile("rb") as replies:
                for line, expected in session[:-1]:
                    typed.sendall(line + b"\r\n")
                    self.assertEqual(replies.read(len(expected or b"")), expected)
                typed.sendall(session[-1][0] + b"\r\n")
                self.assertIn(b"ERR", replies.readline())
            with socket.create_connection((HOST, node.port), 10.0) as typed, typed.makefile("rb") as replies:
                typed.sendall(b"PING\nQUIT\nPING\n")  # as from a script, with bare line feeds
                self.assertEqual(replies.read(), b"+PONG\r\n+OK\r\n")


class OrderTest(ClientsTest):
    """What clients rely on without saying so: replies in the order of requests, and effects too."""

    def test_a_mixed_pipeline(self) -> None:
        """Writes, reads, PING, ECHO and mistakes in one packet: each reply in its place, each read in its time."""
        connection = self.connect(self.second)
        expected: list[Any] = []
        requests: list[list[str]] = []
        for number in range(100):
            requests += [["APPEND", "order", "x"], ["PING"], ["GET", "order"], ["ECHO", str(number)], ["BOGUS"]]
            requests += [["GET", f"k{number}"], ["PUT", f"k{number}", str(number)], ["GET", f"k{number}"]]
            expected += [number + 1, "PONG", b"x" * (number + 1), str(number).encode(), "error"]
            expected += [None, "OK", str(number).encode()]
        connection.socket.sendall(
            b"".join(
                b"*%d\r\n" % len(request) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in request)
                for request in requests
            )
        )
        replies: list[Any] = []
        for _ in expected:
            try:
                replies.append(connection.read())
            except Refused as error:
                self.assertIn("ERR unknown command", str(error))
                replies.append("error")
        self.assertEqual(replies, expected)

    def test_read_your_writes_across_nodes(self) -> None:
        """What one node has acknowledged every node shows at once, whichever leads and whoever wrote it."""
        connections = [self.connect(node) for node in self.cluster.nodes]
        for number in range(150):
            value = b"%d-%s" % (number, os.urandom(4))
            self.assertEqual(connections[number % 3].call("PUT", "mine", value), "OK")
            for connection in connections:
                connection.send("GET", "mine")
            self.assertEqual([connection.read() for connection in connections], [value] * 3)
