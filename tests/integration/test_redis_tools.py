"""The tools that come with Redis, with all that they do to a server of strings."""

from __future__ import annotations

import re
import shutil
import subprocess

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.processes import HOST, Connection, child_environment, shared_cluster

DATABASE = 9
"""What these tests count is in a database of its own."""

BENCHMARK = "ping_inline,ping_mbulk,set,get,incr,mset"
"""What redis-benchmark tries by default, as far as dkv has the commands."""


class ToolTests(SynchronousTestCase):
    """Three nodes; the tool asks one that may lead or not."""

    def setUp(self) -> None:
        self.node = shared_cluster().nodes[0]

    def run_tool(self, name: str, *arguments: str, text: str | None = None) -> str:
        """Run a tool to its end, against the node; what it printed."""
        ended = subprocess.run(
            self.command(name, *arguments),
            input=text,
            capture_output=True,
            text=True,
            timeout=120.0,
            check=False,
            env=child_environment(),
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), ended.stdout)
        return ended.stdout

    def command(self, name: str, *arguments: str) -> list[str]:
        """The command line of a tool; the test is skipped if it is not installed."""
        path = shutil.which(name)
        if path is None:
            raise SkipTest(f"{name} is not installed")
        return [path, "-h", HOST, "-p", str(self.node.port), *arguments]

    def cli(self, *arguments: str, text: str | None = None) -> str:
        """redis-cli in the tests' own database."""
        return self.run_tool("redis-cli", "-n", str(DATABASE), *arguments, text=text)

    def connect(self) -> Connection:
        """A connection that means the tests' own database, which is empty."""
        connection = self.node.connect()
        self.addCleanup(connection.close)
        self.assertEqual(connection.call("SELECT", DATABASE), "OK")
        self.assertEqual(connection.call("FLUSHDB"), "OK")
        return connection

    def test_pipe(self) -> None:
        """Data is loaded by the thousand, with a word at its end that says that all is answered."""
        connection = self.connect()
        requests = "".join(f"*3\r\n$3\r\nSET\r\n$5\r\nk{n:04}\r\n$1\r\nv\r\n" for n in range(1_000))
        self.assertIn("errors: 0, replies: 1000", self.cli("--pipe", text=requests))
        self.assertEqual(connection.call("DBSIZE"), 1_000)

    def test_walks(self) -> None:
        """What goes over all keys: their names, the largest by length, the largest by memory."""
        connection = self.connect()
        names = {f"key:{n:03}" for n in range(300)}
        connection.call("MSET", *[word for name in sorted(names) for word in (name, "v")], "large", "x" * 5_000)
        self.assertEqual(set(self.cli("--scan").split()), names | {"large"})
        self.assertEqual(len(self.cli("--scan", "--pattern", "key:29*").split()), 10)
        bigkeys = self.cli("--bigkeys")
        self.assertIn("Sampled 301 keys in the keyspace!", bigkeys)
        self.assertRegex(bigkeys, "Biggest string found .*large.* has 5000 bytes")
        self.assertRegex(self.cli("--memkeys"), "Biggest string found .*large.* has [0-9]{4} bytes")

    def test_stat(self) -> None:
        """A line each interval, with the keys of all databases, memory, clients and requests."""
        self.connect().call("SET", "k", "v")
        with subprocess.Popen(
            self.command("redis-cli", "--stat", "-i", "0.05"),
            stdout=subprocess.PIPE,
            text=True,
            env=child_environment(),
        ) as stat:
            assert stat.stdout is not None
            lines = [stat.stdout.readline() for _ in range(4)]
            stat.terminate()
        keys, memory, clients, blocked, requests = lines[3].split()[:5]
        self.assertTrue(int(keys) >= 1 and int(clients) >= 1 and int(requests) >= 1, lines)
        self.assertRegex(memory, r"[0-9.]+M")
        self.assertEqual(blocked, "0")

    def test_benchmark(self) -> None:
        """The benchmark that everyone runs first goes through without an error."""
        output = self.run_tool("redis-benchmark", "-t", BENCHMARK, "-n", "2000", "-q")
        finals = re.findall(r"^(.+?): [0-9.]+ requests per second", output.replace("\r", "\n"), re.MULTILINE)
        self.assertEqual(finals, ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"], output)
        self.assertNotIn("error", output.lower())
