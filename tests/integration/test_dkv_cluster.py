"""``dkv cluster`` and the commands of ``dkv`` as processes: what a new user types first."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import HOST, Connection, child_environment, wait_until

DKV = [sys.executable, "-c", "from dkv.cli.main import main; main()"]
NODES = 3
PEER_PORTS_FROM = 100
PORTS = range(10_000, 32_000)
"""Below those that Linux takes for connections, which may come between the look and the start."""


def free_base_port() -> int:
    """A port such that it, the next ones and those for peers above them are free."""
    for port in random.sample(PORTS, 50):
        with ExitStack() as held:
            try:
                for offset in (*range(NODES), *range(PEER_PORTS_FROM, PEER_PORTS_FROM + NODES)):
                    held.enter_context(socket.socket()).bind((HOST, port + offset))
            except (OSError, OverflowError):
                continue
        return port
    raise AssertionError("no six ports free that fit each other")


class DkvClusterTest(SynchronousTestCase):
    """The first five minutes of a user."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="dkv-test-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.data = self.directory / "data"
        self.output = self.directory / "output"
        self.port = free_base_port()
        self.endpoints = ",".join(f"{HOST}:{self.port + number}" for number in range(NODES))

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start the cluster, and wait until it says that it is ready."""
        command = [*DKV, "cluster", "--nodes", str(NODES), "--base-port", str(self.port), "--data-dir", str(self.data)]
        command += options
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=child_environment()
            )
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.terminate)

        def ready() -> bool:
            self.assertIsNone(process.poll(), self.output.read_text())
            return "cluster ready\n" in self.output.read_text()

        wait_until(ready, 40.0, lambda: f"cluster ready: {self.output.read_text()}")
        return process

    def stop(self, process: subprocess.Popen[bytes], number: int) -> None:
        """Ask it to stop: status 0, and no node is left that would hold a port."""
        process.send_signal(number)
        self.assertEqual(process.wait(30), 0, self.output.read_text())
        self.assertTrue(self.output.read_text().endswith("stopped\n"), self.output.read_text())
        for offset in range(NODES):
            self.assertRaises(ConnectionRefusedError, Connection, self.port + offset)
            for line in (self.data / f"node{offset + 1}.log").read_text().splitlines():
                self.assertIsInstance(json.loads(line), dict)

    def dkv(self, *arguments: str, data: bytes = b"", endpoints: str | None = None) -> tuple[int, bytes]:
        """Run a command of ``dkv`` at the cluster: its status, and what it printed."""
        command, *rest = arguments
        ended = subprocess.run(
            [*DKV, command, "--endpoints", endpoints or self.endpoints, *rest],
            input=data,
            capture_output=True,
            timeout=30.0,
            check=False,
            env=child_environment(),
        )
        self.assertNotIn(b"Traceback", ended.stderr)
        self.assertIn(len(ended.stderr.splitlines()), {0: (0,), 1: (0, 1)}.get(ended.returncode, (1,)), ended.stderr)
        return ended.returncode, ended.stdout

    def test_the_first_five_minutes(self) -> None:
        """A cluster from nothing, all commands with their statuses, a clean stop, and the same data once more."""
        process = self.start()
        self.assertEqual(self.dkv("put", "x", "1"), (0, b"OK\n"))
        self.assertEqual(self.dkv("get", "x"), (0, b"1\n"))
        self.assertEqual(self.dkv("append", "x", "23"), (0, b"3\n"))
        self.assertEqual(self.dkv("put", "any", "-", data=b"\x00\xff\n"), (0, b"OK\n"))
        self.assertEqual(self.dkv("get", "absent")[0], 1)
        self.assertEqual(self.dkv("put", "big", "-", data=b"x" * 2_000_000)[0], 4)
        dead_first = f"{HOST}:1,{self.endpoints}"
        self.assertEqual(self.dkv("get", "x", endpoints=dead_first), (0, b"123\n"))
        with socket.create_server((HOST, 0)) as frozen:  # as the kernel of a frozen node takes connections
            frozen_first = f"{HOST}:{frozen.getsockname()[1]},{self.endpoints}"
            began = time.monotonic()
            self.assertEqual(self.dkv("append", "frozen", "1", endpoints=frozen_first), (0, b"1\n"))
            self.assertEqual(self.dkv("get", "frozen", endpoints=frozen_first), (0, b"1\n"))
            self.assertLess(time.monotonic() - began, 9.0)  # one node's timeout is 10 s
        status, printed = self.dkv("get", "--output", "json", "x")
        self.assertEqual((status, json.loads(printed)), (0, {"key": "x", "value": "123"}))
        self.assertEqual(self.dkv("put", "gone", "1")[0], 0)
        self.assertEqual(self.dkv("delete", "gone", "absent"), (0, b"1\n"))
        self.assertEqual(self.dkv("delete", "gone"), (1, b"0\n"))
        self.stop(process, signal.SIGTERM)
        self.assertEqual(self.dkv("get", "x")[0], 3)

        process = self.start()
        self.assertEqual(self.dkv("get", "x"), (0, b"123\n"))
        self.assertEqual(self.dkv("get", "any"), (0, b"\x00\xff\n\n"))
        self.assertEqual(self.dkv("get", "gone")[0], 1)
        self.stop(process, signal.SIGINT)
        self.check_missing_directory()

    def test_behind_tls(self) -> None:
        """One word more, and nobody gets in at any port without TLS; what it prints is what works."""
        process = self.start("--tls")
        ca = str(self.data / "certs" / "ca.pem")
        self.assertEqual(self.dkv("put", "x", "1", "--ca", ca), (0, b"OK\n"))
        self.assertEqual(self.dkv("get", "x")[0], 4)
        self.assertEqual(self.dkv("health", "--ca", ca)[0], 0)
        told = re.findall(r"^  \S+ (get x --endpoints .*)$", self.output.read_text(), re.MULTILINE)
        done = subprocess.run([*DKV, *told[0].split()], capture_output=True, check=False, env=child_environment())
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"1\n", b""))
        admin = ssl.create_default_context(cafile=ca)
        url = f"https://{HOST}:{self.port + 200}/readyz"
        with urllib.request.urlopen(url, timeout=10, context=admin) as answer:
            self.assertEqual(answer.status, 200)
        self.stop(process, signal.SIGTERM)

    def test_watching(self) -> None:
        """What a person leaves running shows what happens, and ends cleanly on Ctrl-C."""
        process = self.start()
        follower, shown = self.left_running("log", "--follow", "--from", "1")
        watcher, pictures = self.left_running("status", "--watch")
        self.assertEqual(self.dkv("put", "seen", "1"), (0, b"OK\n"))
        wait_until(lambda: "PUT seen 1" in shown.read_text(), 10.0, lambda: shown.read_text())
        wait_until(lambda: pictures.read_text().count("READY") >= 2, 10.0, lambda: pictures.read_text())

        text = self.output.read_text
        found = wait_until(lambda: re.search(r"^node (\d) leads in ballot", text(), re.MULTILINE), 10.0, text)
        (pid,) = re.findall(rf"^node {found[1]}  pid (\d+)", text(), re.MULTILINE)
        os.kill(int(pid), signal.SIGKILL)
        why = rf"after node {found[1]} was lost \(its connection was lost\)$"
        lost = rf"^node \d leads in ballot \S+: elected \d\.\d\d s {why}"
        wait_until(lambda: re.search(lost, text(), re.MULTILINE), 10.0, text)

        self.assertEqual(self.dkv("put", "seen", "after"), (0, b"OK\n"))
        wait_until(lambda: "PUT seen after" in shown.read_text(), 10.0, lambda: shown.read_text())
        wait_until(lambda: "unreachable" in pictures.read_text(), 10.0, lambda: pictures.read_text())
        for each in (follower, watcher):
            each.send_signal(signal.SIGINT)
            self.assertEqual(each.wait(10), 0)
        self.stop(process, signal.SIGTERM)

    def left_running(self, command: str, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
        """A command of ``dkv`` that goes on by itself, and the file with all that it prints."""
        path = self.directory / command
        with path.open("wb") as output:
            process = subprocess.Popen(
                [*DKV, command, "--endpoints", self.endpoints, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=child_environment(),
            )
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.kill)
        return process, path

    def check_missing_directory(self) -> None:
        """One node's data lost: an error that says what to do, nothing is started and nothing made in its place."""
        shutil.rmtree(self.data / "node2")
        ended = subprocess.run(
            [*DKV, "cluster", "--data-dir", str(self.data)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30.0,
            check=False,
            env=child_environment(),
        )
        self.assertEqual((ended.returncode, ended.stdout), (2, ""))
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn(f"no data in {self.data / 'node2'}", ended.stderr)
        self.assertIn("put back what is missing", ended.stderr)
        self.assertFalse((self.data / "node2").exists())
