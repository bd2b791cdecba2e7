"""A node goes on serving while clients look through all of its many keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from threading import Event, Thread
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.benchmarks.systems import fill
from dkv.client.blocking import Endpoint
from dkv.settings import MIB
from tests.integration.processes import RealCluster, RealNode

KEYS = 60_000
VALUE_BYTES = 20
HELD_SECONDS_MAX = 0.5
"""How long a PING may take meanwhile: 0.05 on a machine of one's own, which a test never has."""


class Load:
    """Another client of the node: it pings and writes all the time. ``longest`` is how long a PING took, in seconds."""

    def __init__(self, node: RealNode) -> None:
        self._ping, self._write = node.connect(), node.connect()
        self._over = Event()
        self.longest = 0.0
        self.written = 0
        self._threads = [Thread(target=self._pings), Thread(target=self._writes)]
        for thread in self._threads:
            thread.start()

    def _pings(self) -> None:
        while not self._over.wait(0.001):
            began = time.monotonic()
            self._ping.call("PING")
            self.longest = max(self.longest, time.monotonic() - began)

    def _writes(self) -> None:
        while not self._over.is_set():
            for number in range(20):
                self._write.send("SET", f"load:{self.written + number:09d}", "v")
            for _ in range(20):
                self._write.read()
            self.written += 20

    def stop(self) -> None:
        """End it."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._ping.close()
        self._write.close()


class ManyKeys:
    """One node with so many keys, and a client that looks through them under load."""

    def __init__(self, keys: int, say: Callable[[str], None], settings: str = "") -> None:
        self.keys = keys
        self._say = say
        self.cluster = RealCluster(1, settings=settings)
        self.cluster.start()
        self.cluster.wait_ready()
        self.node = self.cluster.nodes[0]
        fill([Endpoint(self.node.host, self.node.port)], keys, VALUE_BYTES)
        self.client = self.node.connect(60.0)
        self.longest = 0.0

    def close(self) -> None:
        """End the node."""
        self.client.close()
        self.cluster.close()

    @contextmanager
    def under_load(self, what: str) -> Iterator[None]:
        """Measure what others have to wait for meanwhile, and the node's memory."""
        memory, load, began = self.memory(), Load(self.node), time.monotonic()
        try:
            yield
        finally:
            load.stop()
        seconds = time.monotonic() - began
        self.longest = max(self.longest, load.longest)
        self._say(
            f"{what}: {seconds:.1f} s; longest PING {1000 * load.longest:.0f} ms, {load.written} SETs meanwhile;"
            f" memory {memory / MIB:.0f} MiB before, {self.memory() / MIB:.0f} MiB behind"
        )

    def memory(self) -> int:
        """What the node takes at most so far, in bytes."""
        assert self.node.process is not None
        with open(f"/proc/{self.node.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

    def scan(self, *options: str) -> Iterator[bytes]:
        """All keys, page by page."""
        cursor: Any = b"0"
        while True:
            cursor, page = self.client.call("SCAN", cursor, *options)
            yield from page
            if cursor == b"0":
                return

    def run(self) -> None:
        """Look through all keys in each way; ``AssertionError`` if an answer is wrong."""
        with self.under_load("SCAN of all"):
            found = [key for key in self.scan("COUNT", "1000") if not key.startswith(b"load:")]
        assert len(found) == len(set(found)) == self.keys, (len(found), self.keys)
        some = found[self.keys // 2][:-2]
        with self.under_load("KEYS of a few, by a prefix"):
            assert set(self.client.call("KEYS", some + b"*")) == {key for key in found if key.startswith(some)}
        last = some[-4:]
        with self.under_load("KEYS of a few, which looks through all"):
            few = self.client.call("KEYS", b"*" + last + b"[0-9]?")
        expected = {key for key in found if key[-6:-2] == last}
        assert {key for key in few if not key.startswith(b"load:")} == expected, (len(few), len(expected))
        with self.under_load("KEYS of all"):
            every = self.client.call("KEYS", "*")
        assert set(found) <= set(every), (len(every), len(found))
        with self.under_load("RANDOMKEY, 200 times"):
            drawn = {self.client.call("RANDOMKEY") for _ in range(200)}
        assert len(drawn) > 50, drawn
        with self.under_load("ten pages for each of 50 clients"):
            for _ in range(50):
                assert len(list(islice(self.scan(), 100))) == 100


class ManyKeysTest(SynchronousTestCase):
    timeout = 300

    def test_looked_through_under_load(self) -> None:
        """SCAN and KEYS answer right, and hold nobody up for longer than a moment, however many keys there are."""
        lines: list[str] = []
        many = ManyKeys(KEYS, lines.append)
        self.addCleanup(many.close)
        many.run()
        self.assertLess(many.longest, HELD_SECONDS_MAX, "\n".join(lines))
