"""``python -m tests.large_state``: nodes with little memory and many keys; prints what that takes, and ends with 0."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dkv.cli.benchmarks.systems import fill
from dkv.client.blocking import Endpoint
from dkv.settings import LEADER, MIB, MODES
from tests.integration.processes import RealCluster, RealNode, wait_until
from tests.large_state.memory import LittleMemory

VALUE_BYTES = 100
SAMPLES = 2_000
TAIL_SLOTS = 1_000
SETTINGS = f"[limits]\nlog_tail_slots_max = {TAIL_SLOTS}\npoll_lag_slots_max = {TAIL_SLOTS}\n"
"""A short tail, so that a node that was away for a moment needs a snapshot."""

ARRIVAL_SECONDS = 1_200.0


class LargeState:
    """Three nodes in ``mode``, each with ``mib`` MiB, and ``keys`` keys."""

    def __init__(self, keys: int, mib: int, mode: str, say: Callable[[str], None], samples: int = SAMPLES) -> None:
        self.keys = keys
        self.samples = samples
        self.say = say
        self.cluster = RealCluster(settings=SETTINGS, mode=mode)
        self.places = {node: LittleMemory(f"dkv-node{node.number}", mib * MIB) for node in self.cluster.nodes}
        self._own: dict[int, bytes] = {}

    def run(self) -> None:
        """All of it; ``AssertionError`` if an answer is wrong or a node does not make it."""
        kind = next(iter(self.places.values())).kind
        self.say(f"{self.keys} keys of {VALUE_BYTES} bytes; the limit of each node is {kind}")
        for node in self.cluster.nodes:
            self._start(node)
        self.cluster.wait_ready()
        first, away = self.cluster.nodes[0], self.cluster.nodes[2]
        with self._timed("written"):
            fill([Endpoint(first.host, first.port)], self.keys, VALUE_BYTES)
        reads = self.samples + self.samples // 2
        with self._timed(f"{self.samples} writes, and {reads} reads on each node, one after the other"):
            self._write_and_read(self.cluster.nodes, self.samples)
        away.kill()
        with self._timed("while node 3 was away, more slots than a log keeps"):
            self._write_and_read(self.cluster.nodes[:2], 3 * TAIL_SLOTS)
        self._start(away)
        with self._timed("until node 3 has got a snapshot, and serves"):
            wait_until(lambda: away.logged("snapshot_installed"), ARRIVAL_SECONDS, "a snapshot is in force on node 3")
            wait_until(away.serves, ARRIVAL_SECONDS, "node 3 serves")
        self._read([away])
        for node in self.cluster.nodes:
            node.kill()
            self._start(node)
            with self._timed(f"until node {node.number} serves after kill -9"):
                wait_until(node.serves, ARRIVAL_SECONDS, f"node {node.number} serves")
        self._read(self.cluster.nodes)
        peaks = ", ".join(f"{place.peak_bytes() / MIB:.0f}" for place in self.places.values())
        self.say(f"the most memory at a time, in MiB, with the pages of files that the kernel keeps: {peaks}")

    def _start(self, node: RealNode) -> None:
        node.start(*self.places[node].prefix())

    def _write_and_read(self, nodes: list[RealNode], writes: int) -> None:
        """Overwrite some of the keys, and read those and others."""
        connection = nodes[0].connect(60.0)
        try:
            for _ in range(writes):
                key = random.randrange(self.keys)
                self._own[key] = b"%020d" % random.getrandbits(60)
                assert connection.call("SET", b"key:%012d" % key, self._own[key]) == "OK"
        finally:
            connection.close()
        self._read(nodes)

    def _read(self, nodes: list[RealNode]) -> None:
        for node in nodes:
            connection = node.connect(60.0)
            try:
                own, others = random.sample(sorted(self._own), self.samples // 2), range(self.keys)
                for key in (*own, *random.sample(others, self.samples)):
                    value = connection.call("GET", b"key:%012d" % key)
                    if key in self._own:
                        assert value == self._own[key], f"node {node.number} has {value!r} for key {key}"
                    else:
                        assert len(value) == VALUE_BYTES, f"node {node.number} has {value!r} for key {key}"
            finally:
                connection.close()

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.say(f"{time.monotonic() - began:7.1f} s {what}")

    def close(self) -> None:
        """End every process, and remove what was made."""
        self.cluster.close()
        for place in self.places.values():
            place.remove()


def main() -> int:
    """0 if every answer was right."""
    parser = argparse.ArgumentParser(prog="python -m tests.large_state", description=__doc__)
    parser.add_argument("--keys", type=int, default=5_000_000, help="how many (default: 5000000)")
    parser.add_argument("--mib", type=int, default=512, help="the memory of each node (default: 512)")
    parser.add_argument("--mode", default=LEADER, choices=MODES, help=f"how they agree (default: {LEADER})")
    options = parser.parse_args()
    large = LargeState(options.keys, options.mib, options.mode, lambda line: print(line, flush=True))
    try:
        large.run()
    finally:
        large.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
