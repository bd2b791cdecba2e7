"""Libraries that write without pause, from a thread or a program of their own, and what was acknowledged, and when."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from twisted.trial.unittest import SkipTest

from tests.integration.processes import wait_until

PROGRAM = Path(__file__).parent / "sentinel_program.cjs"

PATIENCE_SECONDS = 30.0
"""How long to wait for the next acknowledged writes, at most."""


class Load:
    """Calls ``write(n)`` with 0, 1, 2, ... from a thread of its own, and remembers what was acknowledged."""

    def __init__(self, write: Callable[[int], Any]) -> None:
        self.acknowledged: list[tuple[float, int]] = []
        self.errors: list[Exception] = []
        self._write = write
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stopping.is_set():
            try:
                self._write(number)
            except Exception as error:
                self.errors.append(error)
                self._stopping.wait(0.02)  # an application would not spin either
            else:
                self.acknowledged.append((time.monotonic(), number))
            number += 1

    def stop(self) -> None:
        """Let the write under way end."""
        self._stopping.set()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "a write still waits"


class NodeProgram:
    """A program of Node.js that writes p:0, p:1, ... through a library. What it complains of goes to ``log``.

    It asks ``addresses`` for the master of ``name``. The test is skipped if node does not find the ``package``.
    """

    def __init__(self, library: str, package: str, name: str, addresses: list[tuple[str, int]], log: Path) -> None:
        environment = {**os.environ, "NODE_PATH": os.pathsep.join(node_folders())}
        program = shutil.which("node")
        seek = f"require.resolve({package!r})"
        if (
            program is None
            or subprocess.run([program, "-e", seek], capture_output=True, env=environment, check=False).returncode
        ):
            raise SkipTest(f"node finds no package {package}: npm install --global {package}")
        self.acknowledged: list[tuple[float, int]] = []
        self.errors: list[str] = []
        self._log = log
        command = [program, str(PROGRAM), library, name, *(f"{host}:{port}" for host, port in addresses)]
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, env=environment, text=True
            )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if isinstance(told, int):
                self.acknowledged.append((time.monotonic(), told))
            else:
                self.errors = told

    def stop(self) -> None:
        """Let it end, if it was not told to yet."""
        assert self._process.stdin is not None and self._process.stdout is not None
        if self._process.stdout.closed:
            return
        self._process.stdin.close()
        try:
            status = self._process.wait(PATIENCE_SECONDS)
            assert status == 0, self._log.read_text()
        finally:
            self._process.kill()
            self._process.wait()
            self._thread.join(10.0)
            self._process.stdout.close()


class Writing(Protocol):
    """A ``Load``, or a program that writes as one does."""

    acknowledged: list[tuple[float, int]]

    @property
    def errors(self) -> Sequence[object]:
        """What the library raised."""

    def stop(self) -> None:
        """Let the write under way end."""


def node_folders() -> list[str]:
    """Where packages of Node.js may be."""
    named, npm = os.environ.get("DKV_NODE_MODULES", ""), shutil.which("npm")
    if npm is None:
        return [named]
    asked = subprocess.run([npm, "root", "--global"], capture_output=True, text=True, check=False)
    return [named, asked.stdout.strip()]


def acknowledge(writing: Writing, more: int) -> None:
    """Wait until so many more writes are acknowledged."""
    goal = len(writing.acknowledged) + more
    wait_until(
        lambda: len(writing.acknowledged) >= goal,
        PATIENCE_SECONDS,
        lambda: f"{goal} writes: {len(writing.acknowledged)}, {writing.errors[-1:]}",
    )


def longest_pause(writing: Writing) -> float:
    """The longest time between two acknowledgements."""
    times = [at for at, _ in writing.acknowledged]
    return max((later - earlier for earlier, later in pairwise(times)), default=0.0)
