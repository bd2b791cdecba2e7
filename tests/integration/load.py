"""Clients that write without pause, each from a thread of its own, and remember what was acknowledged, and when."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

from tests.integration.processes import RealNode, Refused


class Writer:
    """Writes ``prefix``-0, -1, ... to one node, one at a time, until stopped or the connection breaks."""

    def __init__(self, node: RealNode, prefix: str, value_bytes: int = 16) -> None:
        self.node = node
        self.prefix = prefix
        self.value = "v" * value_bytes
        self.acknowledged: list[tuple[float, str]] = []
        self.errors: list[str] = []
        self.broken = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            connection = self.node.connect(seconds=15.0)
        except OSError:
            self.broken = True
            return
        number = 0
        try:
            while not self._stopping.is_set():
                key = f"{self.prefix}-{number}"
                number += 1
                try:
                    connection.call("PUT", key, self.value + key)
                except Refused as error:
                    self.errors.append(str(error))
                    continue
                self.acknowledged.append((time.monotonic(), key))
        except (OSError, EOFError):
            self.broken = True
        finally:
            connection.close()

    def stop(self) -> None:
        """Let the write under way finish."""
        self._stopping.set()
        self._thread.join(20.0)
        assert not self._thread.is_alive(), f"{self.prefix} still waits for an answer"

    def longest_pause(self) -> float:
        """The longest time between two acknowledgements, in seconds."""
        times = [at for at, _ in self.acknowledged]
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)


def missing(node: RealNode, writers: list[Writer]) -> list[str]:
    """Which acknowledged writes ``node`` does not have, or has otherwise."""
    connection = node.connect(seconds=20.0)
    lost = []
    try:
        for writer in writers:
            keys = [key for _, key in writer.acknowledged]
            for start in range(0, len(keys), 100):
                chunk = keys[start : start + 100]
                for key in chunk:
                    connection.send("GET", key)
                lost += [key for key in chunk if connection.read() != (writer.value + key).encode()]
    finally:
        connection.close()
    return lost
