"""Whatever a client sends, it gets a right answer or a clear error, and the node serves on."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import (
    HOST,
    Connection,
    RealCluster,
    RealNode,
    Refused,
    child_environment,
    shared_cluster,
)


def resident_kib(node: RealNode) -> int:
    """The node's resident memory, in KiB."""
    assert node.process is not None
    for line in Path(f"/proc/{node.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


class HostileTestCase(SynchronousTestCase):
    """A user's node dies or answers wrongly on some client's input if a test of these fails."""

    def setUp(self) -> None:
        self.cluster = self.made()
        self.node = self.cluster.nodes[0]

    def made(self) -> RealCluster:
        """Three nodes, which other tests have used and will use."""
        return shared_cluster()

    def raw(self) -> Connection:
        connection = self.node.connect()
        self.addCleanup(connection.close)
        return connection


class HostileClientsTest(HostileTestCase):
    """What clients send, and how."""

    def test_any_bytes_and_sizes(self) -> None:
        """Empty and 1 MiB values, keys and values of any bytes, written here and read on the other nodes."""
        everything = bytes(range(256)) * 3
        big = os.urandom(1 << 20)
        connection = self.raw()
        for key, value in ((b"empty", b""), (everything, everything), (b"big", big), (b"", b"empty key")):
            self.assertEqual(connection.call("PUT", key, value), "OK")
            for node in self.cluster.nodes:
                self.assertEqual(node.call("GET", key), value)
        self.assertEqual(connection.call("APPEND", b"empty", b"12"), 2)
        refusal = self.assertRaises(Refused, connection.call, "APPEND", b"big", b"x")
        self.assertIn("value_bytes_max", str(refusal))
        refusal = self.assertRaises(Refused, connection.call, "PUT", "toobig", big + b"x")
        self.assertIn("value_bytes_max", str(refusal))
        self.assertEqual(connection.call("DEL", "big", "empty", "nothing"), 2)
        self.assertIsNone(connection.call("GET", "big"))

    def test_one_byte_at_a_time(self) -> None:
        """A client on a very bad line is answered like any other."""
        connection = self.raw()
        for byte in b"*3\r\n$3\r\nPUT\r\n$4\r\nslow\r\n$2\r\n\r\n\r\nGET slow\r\n":
            connection.socket.sendall(bytes([byte]))
        self.assertEqual(connection.read(), "OK")
        self.assertEqual(connection.read(), b"\r\n")

    def test_a_request_cut_in_the_middle(self) -> None:
        """Half a request changes nothing, and its connection's end is noticed."""
        connection = self.node.connect()
        connection.socket.sendall(b"*3\r\n$3\r\nPUT\r\n$3\r\ncut\r\n$10\r\nabc")
        connection.close()
        self.assertIsNone(self.node.call("GET", "cut"))

    def test_a_thousand_connections(self) -> None:
        """A thousand clients at once, each with a request under way, are all answered."""
        connections = [self.raw() for _ in range(1000)]
        for number, connection in enumerate(connections):
            connection.send("PUT", f"c{number}", number)
        self.assertEqual({connection.read() for connection in connections}, {"OK"})
        self.assertEqual(self.cluster.nodes[1].call("GET", "c999"), b"999")


class MemoryTest(HostileTestCase):
    """How much a node takes is told by what it takes more: memory that was freed before would hide it."""

    def made(self) -> RealCluster:
        """Three nodes that have done nothing yet."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        return cluster

    def test_protocol_bombs(self) -> None:
        """Lengths that would take all memory, and lines without end, are refused, and memory stays bounded."""
        before = resident_kib(self.node)
        for bomb in (b"*2147483647\r\n", b"*1\r\n$99999999999\r\n", b"*2\r\n!x\r\n", b"x" * 10_000_000):
            connection = self.raw()
            try:
                connection.socket.sendall(bomb)
            except OSError:
                pass  # refused while we were still sending
            try:
                refusal: object = self.assertRaises(Refused, connection.read)
                self.assertIn("ERR", str(refusal))
            except (ConnectionResetError, EOFError):
                self.assertGreater(len(bomb), 1000, "a short bomb gets its error before the connection ends")
        self.assertEqual(self.node.call("PING"), "PONG")
        self.assertEqual(self.node.call("PUT", "alive", "1"), "OK")
        self.assertLess(resident_kib(self.node) - before, 60_000)

    def test_a_client_that_reads_nothing(self) -> None:
        """Replies that nobody takes do not pile up without bound, and others are served meanwhile."""
        self.assertEqual(self.node.call("PUT", "big", os.urandom(1 << 20)), "OK")
        before = resident_kib(self.node)
        deaf = self.raw()
        deaf.socket.settimeout(0.5)
        sent = 0
        try:
            while sent < 4000:
                deaf.send("GET", "big")
                sent += 1
        except TimeoutError:
            pass
        self.assertEqual(self.node.call("PING"), "PONG")
        self.assertEqual(self.node.call("GET", "x"), None)
        self.assertLess(resident_kib(self.node) - before, 400_000)


class DescriptorsTest(SynchronousTestCase):
    """A flood of connections takes a user's node down if this fails."""

    def test_more_clients_than_descriptors(self) -> None:
        """With ulimit -n 1024 and 2,000 clients, those beyond the cap read a refusal and the node lives."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < 4096:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        limited = cluster.nodes[0]
        limited.start("sh", "-c", 'ulimit -n 1024; exec "$@"', "sh")
        for node in cluster.nodes[1:]:
            node.start()
        cluster.wait_ready()
        clients = []
        for _ in range(2000):
            client = socket.create_connection((HOST, limited.port), 10.0)
            self.addCleanup(client.close)
            clients.append(client)
        served = refused = 0
        for client in clients:
            try:
                client.sendall(b"PING\r\n")
                answer = client.recv(100)
            except ConnectionError:
                answer = b""
            served += answer == b"+PONG\r\n"
            refused += answer.startswith(b"-ERR max number of clients reached")
        self.assertGreaterEqual(served, 400)  # the other files are for LevelDB, peers, operators and strangers
        self.assertEqual(served + refused, 2000)
        for client in clients:
            client.close()
        cluster.wait_ready()
        self.assertEqual(limited.call("PUT", "alive", "1"), "OK")


class ClockTest(SynchronousTestCase):
    """A user's cluster elects for nothing, or freezes, when somebody sets the clock, if this fails."""

    STEPPED = (
        "import time, threading; real = time.time; step = [0.0]; time.time = lambda: real() + step[0]\n"
        "def later():\n"
        "    for offset in (3600.0, -3600.0, 0.0):\n"
        "        time.sleep(2.0); step[0] = offset\n"
        "threading.Thread(target=later, daemon=True).start()\n"
        "import sys; sys.argv[0] = 'twistd'\n"
        "from twisted.scripts.twistd import run; run()\n"
    )

    def test_wall_clock_steps(self) -> None:
        """An hour forwards, two backwards, one forwards, on all nodes: no election, and writes all the time."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        for node in cluster.nodes:
            command = [sys.executable, "-c", self.STEPPED, "-n", "--pidfile=", "dkvnode"]
            command += ["--config", str(cluster.config_path), "--node", str(node.number)]
            with node.log_path.open("ab") as log:
                node.process = subprocess.Popen(
                    [*command, "--data-dir", str(node.directory)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=child_environment(),
                )
        cluster.wait_ready()
        elected = len(cluster.nodes[0].logged("leader_elected"))
        connection = cluster.nodes[0].connect()
        for number in range(80):  # about eight seconds, paced by the server's own clock below
            self.assertEqual(connection.call("PUT", f"k{number}", "v"), "OK")
            connection.socket.settimeout(0.1)
            self.assertRaises(TimeoutError, connection.socket.recv, 1)
            connection.socket.settimeout(10.0)
        connection.close()
        self.assertEqual(len(cluster.nodes[0].logged("leader_elected")), elected)
        self.assertEqual(cluster.nodes[0].logged("leader_lost"), [])
