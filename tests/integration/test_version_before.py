"""The upgrade from the version before: node by node, under load, with nothing lost or done twice."""

from __future__ import annotations

import shutil
import threading
import time
from functools import partial
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dkv.storage.data_directory import FORMAT_VERSION
from tests.damage.verdict import read_contents
from tests.integration.old_version import OldCluster, sources_before
from tests.integration.processes import RealCluster, RealNode, Refused, wait_until

FORMATS = Path(__file__).resolve().parents[1] / "storage" / "formats"
PAUSE_SECONDS_MAX = 20.0
"""For how long nobody may be served: a stop, a start, and an election. It takes two or three on an idle machine."""


class Appender:
    """A client that appends numbers to a key of its own, with a token each, at whatever node answers."""

    def __init__(self, nodes: list[RealNode], name: str) -> None:
        self.name = name
        self.times: list[float] = []
        self._nodes = cycle(nodes)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def value(self) -> bytes:
        """What the key must hold: each number that was acknowledged, once."""
        return b"".join(b"%d " % number for number in range(1, len(self.times) + 1))

    def has_done(self, count: int) -> bool:
        """Whether so many writes were acknowledged."""
        return len(self.times) >= count

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._append(len(self.times) + 1)

    def _append(self, number: int) -> None:
        """Ask one node after the other, until it is acknowledged: the token makes that safe."""
        for node in self._nodes:
            try:
                node.call("IDMP", self.name, number, "APPEND", self.name, f"{number} ")
            except (OSError, EOFError, Refused):
                time.sleep(0.02)  # it is down, or has no leader: a client that retries leaves it some time
            else:
                self.times.append(time.monotonic())
                return

    def stop(self) -> None:
        """Let the write under way be acknowledged."""
        self._stopping.set()
        self._thread.join(30.0)
        assert not self._thread.is_alive(), f"{self.name} is not answered"

    def longest_pause(self) -> float:
        """The longest time between two acknowledgements, in seconds."""
        return max((later - earlier for earlier, later in pairwise(self.times)), default=0.0)


class RollingUpgradeTest(SynchronousTestCase):
    """An operator who follows docs/operations.md, "Upgrade"."""

    timeout = 240

    def setUp(self) -> None:
        sources = sources_before()
        if sources is None:
            raise SkipTest("this checkout has no history with the version before")
        self.cluster = OldCluster(sources)
        self.addCleanup(self.cluster.close)
        self.cluster.start()

    def upgrade(self, node: RealNode) -> None:
        """Stop a node of the version before, and start it in this one."""
        node.stop()
        node.start()

    def test_node_by_node_under_load(self) -> None:
        """Nothing that was acknowledged is lost, nothing is doubled, and all nodes come to the same revisions."""
        nodes = self.cluster.nodes
        for number in range(200):
            nodes[number % 3].call("SET", f"old-{number}", f"value {number}")
        nodes[0].call("IDMP", "before", 7, "APPEND", "once", "x")
        appenders = [Appender(nodes, f"client{number}") for number in range(3)]
        for node in nodes:
            enough = len(appenders[0].times) + 20
            self.upgrade(node)
            wait_until(partial(appenders[0].has_done, enough), 30.0, "clients are served")
        self.cluster.wait_ready()
        for each in appenders:
            each.stop()
        pause = max(each.longest_pause() for each in appenders)
        print(f"\nrolling upgrade: {sum(len(each.times) for each in appenders)} writes, longest pause {pause:.1f} s")
        self.assertLess(pause, PAUSE_SECONDS_MAX)
        for node in nodes:
            for each in appenders:
                self.assertEqual(node.call("GET", each.name), each.value)
            self.assertEqual(node.call("GET", "old-199"), b"value 199")
            self.assertEqual(node.call("IDMP", "before", 7, "APPEND", "once", "x"), 1, "the first answer")
            self.assertEqual(node.call("GET", "once"), b"x")
        for node in nodes:
            node.stop()
        first, *others = (read_contents(node.directory, node.number).state for node in nodes)
        self.assertGreater(len(first), 200)
        self.assertEqual(others, [first, first], "values, revisions, tokens, and the last batch of each origin")

    def test_they_refuse_each_other_in_words(self) -> None:
        """An operator who upgrades one node reads on either side why it takes no part, and two serve on."""
        first, second, third = self.cluster.nodes
        self.upgrade(first)
        for node, peers in ((first, {2, 3}), (second, {1}), (third, {1})):
            self.wait_for_words(node, peers)
        self.assertEqual(second.call("SET", "x", "1"), "OK")
        self.assertEqual(third.call("GET", "x"), b"1")
        self.assertFalse(first.serves())
        for node in self.cluster.nodes:
            self.assertEqual(node.logged("fenced"), [])
        self.upgrade(second)
        self.upgrade(third)
        self.cluster.wait_ready()
        self.assertEqual(first.call("GET", "x"), b"1")

    def wait_for_words(self, node: RealNode, peers: set[int]) -> None:
        """The node's log names each of ``peers`` and says that the versions differ."""

        def named() -> bool:
            lines: list[dict[str, Any]] = [*node.logged("peer_refused"), *node.logged("refused_by_peer")]
            said = {line["peer"] for line in lines if "run the same version on both" in line["reason"]}
            return said >= peers

        wait_until(named, 15.0, lambda: f"node {node.number} names {peers}: {self.cluster.tail(node)}")

    def test_there_is_no_way_back(self) -> None:
        """The version before refuses a directory that this one has opened, in one line, and changes nothing in it."""
        nodes = self.cluster.nodes
        nodes[0].call("SET", "x", "1")
        for node in nodes:
            self.upgrade(node)
        self.cluster.wait_ready()
        nodes[0].call("SET", "y", "2")
        nodes[2].stop()
        ended = self.cluster.run_old(nodes[2])
        self.assertEqual(ended.returncode, 1, ended.stderr)
        (line,) = ended.stderr.splitlines()
        self.assertIn(f"has format version {FORMAT_VERSION} and this dkv knows none beyond {FORMAT_VERSION - 1}", line)
        nodes[2].start()
        self.cluster.wait_ready()
        self.assertEqual([nodes[2].call("GET", key) for key in ("x", "y")], [b"1", b"2"])


class FormatsTest(SynchronousTestCase):
    """Directories of every format, in a whole node."""

    def test_every_format_starts(self) -> None:
        """The node takes its state up, or makes it anew from the log, and says so. A change is pending from v5 on."""
        for version in range(1, FORMAT_VERSION + 1):
            cluster = RealCluster()
            self.addCleanup(cluster.close)
            node = cluster.nodes[2]
            config = cluster.config_path.read_text().replace('cluster = "test"', 'cluster = "example"')
            cluster.config_path.write_text(config)
            shutil.rmtree(node.directory)
            shutil.copytree(FORMATS / f"v{version}", node.directory)
            node.start()
            (line,) = wait_until(partial(node.logged, "replayed"), 15.0, f"format {version} is replayed")
            self.assertEqual(line["applied_through"], 2)
            self.assertEqual(len(node.logged("started")), 1)
            node.stop()
