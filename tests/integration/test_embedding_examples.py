"""The examples of etc/embedding, run as docs/embedding.md says: real programs that own nodes."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import test_hostile_clients
from tests.integration.processes import (
    TWISTD,
    Connection,
    Refused,
    child_environment,
    free_ports,
    wait_until,
)

EXAMPLES = Path(__file__).resolve().parents[2] / "etc" / "embedding"
PATIENCE = "\n[timings]\nelection_seconds_min = 2.0\nelection_seconds_max = 4.0\n"
"""A machine with much to do must not be taken for a clock that was set."""
PORT = re.compile(r"(127\.0\.0\.1:|tcp:)(5\d\d\d)")


class Example:
    """The examples in a folder of their own, on free ports, and the program that runs one of them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.directory = Path(tempfile.mkdtemp(prefix="dkv-example-"))
        self.output = self.directory / "output"
        texts = {path.name: path.read_text() for path in EXAMPLES.iterdir()}
        ports = sorted({port for text in texts.values() for _, port in PORT.findall(text)})
        self.ports = dict(zip(ports, free_ports(len(ports)), strict=True))
        for each, text in texts.items():
            moved = PORT.sub(lambda found: f"{found[1]}{self.ports[found[2]]}", text)
            (self.directory / each).write_text(moved)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, python: Sequence[str] = TWISTD) -> None:
        """Run it in its folder."""
        command = [*python, *options, "--pidfile=", "-noy", self.name]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=child_environment(),
            )

    def stop(self) -> None:
        """SIGTERM; AssertionError unless its reactor stops. Twisted lets the signal end the process after that."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        self.process = None
        assert status in (0, -signal.SIGTERM), self.log()
        assert self.log().rstrip().endswith("Server Shut Down."), self.log()

    def close(self) -> None:
        """End the program and remove the folder."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        """What the program has written."""
        return self.output.read_text()

    def connect(self, node: int) -> Connection:
        """A connection to a node."""
        return Connection(self.ports[f"500{node}"])

    def call(self, node: int, *words: str) -> Any:
        """One request."""
        connection = self.connect(node)
        try:
            return connection.call(*words)
        finally:
            connection.close()

    def wait_for(self, node: int) -> None:
        """Wait until a node serves."""

        def serves() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log()
            try:
                self.call(node, "GET", "is-it-ready")
            except (OSError, EOFError, Refused):
                return False
            return True

        wait_until(serves, 30.0, lambda: f"node {node} serves: {self.log()[-3000:]}")


class ThreeNodesTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.example = Example("three_nodes.tac")
        self.addCleanup(self.example.close)

    def test_from_an_empty_folder(self) -> None:
        """One command, and what was put through one node is read through another, also after a restart."""
        example = self.example
        for value in (b"1", b"2"):
            example.start()
            for node in (1, 2, 3):
                example.wait_for(node)
            self.assertEqual(example.call(1, "PUT", value.decode(), value.decode()), "OK")
            self.assertEqual(example.call(3, "GET", value.decode()), value)
            self.assertEqual(example.call(2, "GET", "1"), b"1")
            example.stop()
        self.assertEqual(example.log().count("stopped"), 6)
        self.assertNotIn("Traceback", example.log())

    def test_the_page_shows_it(self) -> None:
        """Who copies the example from the page runs what is tested here."""
        page = (EXAMPLES.parents[1] / "docs" / "embedding.md").read_text()
        for name in ("three_nodes.tac", "web_counter.tac"):
            code = (EXAMPLES / name).read_text().split('"""', 2)[2].strip()
            self.assertIn(f"```python\n{code}\n```", page, name)

    def test_a_node_that_is_fenced(self) -> None:
        """An older copy of a directory is put back: that node ends for good, and the program and the others go on."""
        example = self.example
        second = example.directory / "data" / "node2"
        copy = example.directory / "copy"
        for run in range(2):
            example.start()
            example.wait_for(1)
            example.wait_for(2)
            self.assertEqual(example.call(2, "PUT", "x", str(run)), "OK")
            example.stop()
            if run == 0:
                shutil.copytree(second, copy)
        shutil.rmtree(second)
        copy.rename(second)
        example.start()
        wait_until(lambda: "node 2 is gone: fenced: " in example.log(), 30.0, lambda: example.log()[-3000:])
        self.assertEqual(example.call(1, "PUT", "x", "3"), "OK")
        self.assertEqual(example.call(3, "GET", "x"), b"3")
        self.assertRaises(ConnectionRefusedError, example.connect, 2)
        example.stop()
        example.start()
        wait_until(lambda: "node2 is fenced: " in example.log(), 30.0, lambda: example.log()[-3000:])
        example.wait_for(3)
        self.assertEqual(example.call(3, "GET", "x"), b"3")
        example.stop()

    def test_on_asyncio(self) -> None:
        """A program whose reactor runs on asyncio, for the sake of other libraries, owns nodes as any other."""
        self.example.start("--reactor=asyncio")
        self.example.wait_for(1)
        self.assertEqual(self.example.call(1, "PUT", "x", "1"), "OK")
        self.assertEqual(self.example.call(3, "GET", "x"), b"1")
        self.example.stop()

    def test_wall_clock_steps(self) -> None:
        """An hour forwards, two backwards, one forwards: the program's own timers suffer, and no node does."""
        example = self.example
        with (example.directory / "cluster.toml").open("a") as config:
            config.write(PATIENCE)
        example.start(python=[sys.executable, "-c", test_hostile_clients.ClockTest.STEPPED])
        for node in (1, 2, 3):
            example.wait_for(node)
        elected = example.log().count("leader_elected")
        connection = example.connect(1)
        self.addCleanup(connection.close)
        for number in range(80):  # about eight seconds, paced as below
            self.assertEqual(connection.call("PUT", f"k{number}", "v"), "OK")
            connection.socket.settimeout(0.1)
            try:
                self.fail(f"{connection.socket.recv(1)!r}: {example.log()}")
            except TimeoutError:
                connection.socket.settimeout(10.0)
        self.assertEqual(example.log().count("leader_elected"), elected, example.log())
        self.assertNotIn("leader_lost", example.log())
        self.assertNotIn("peer_lost", example.log())
        example.stop()


class WebCounterTest(SynchronousTestCase):
    def test_counts(self) -> None:
        """A program that owns a node and asks it: every visit is counted, once, also those of the run before."""
        example = Example("web_counter.tac")
        self.addCleanup(example.close)
        for run in range(2):
            example.start()
            example.wait_for(1)
            for visit in range(3):
                with urlopen(f"http://127.0.0.1:{example.ports['5080']}/", timeout=20) as page:
                    self.assertEqual(page.read(), b"visit %d\n" % (3 * run + visit + 1))
            example.stop()
        self.assertNotIn("Traceback", example.log())
