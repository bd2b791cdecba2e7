"""A network that is cut: the majority goes on, whoever is alone says so, and healing disturbs nobody."""

from __future__ import annotations

import threading
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.load import Writer, missing
from tests.integration.network import Network
from tests.integration.processes import RealCluster, RealNode, Refused, wait_until

REQUEST_SECONDS = 2.5

REFUSALS = ("CLUSTERDOWN", "TRYAGAIN")


class PartitionTestCase(SynchronousTestCase):
    """Three nodes whose network the test can cut."""

    election_seconds = 0.6, 2.0
    """How long a node waits at least and at most for its leader."""

    def setUp(self) -> None:
        timings = dict(zip(("election_seconds_min", "election_seconds_max"), self.election_seconds, strict=True))
        timings["request_seconds"] = REQUEST_SECONDS
        settings = "\n".join(f"{name} = {value}" for name, value in timings.items())
        self.cluster = RealCluster(settings=f"[timings]\n{settings}\n")
        self.network = Network(self.cluster)
        self.addCleanup(self.network.close)
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.leader = self.cluster.leader()
        self.followers = [node for node in self.cluster.nodes if node is not self.leader]

    def writer(self, node: RealNode, prefix: str) -> Writer:
        writer = Writer(node, prefix)
        self.addCleanup(writer.stop)
        return writer

    def elections(self) -> list[int]:
        """How often each node has seen a leader elected, or lost one."""
        return [len(node.logged("leader_elected")) + len(node.logged("leader_lost")) for node in self.cluster.nodes]

    def acknowledge(self, more: int, *writers: Writer) -> None:
        goals = [(writer, len(writer.acknowledged) + more) for writer in writers]
        wait_until(
            lambda: all(len(writer.acknowledged) >= goal for writer, goal in goals),
            20.0,
            lambda: f"{more} more writes each: {[(len(w.acknowledged), w.errors[-1:]) for w in writers]}",
        )


class LoneFollowerTest(PartitionTestCase):
    """The nodes are patient: on a busy machine a leader may be late, and none of them may take that for a cut."""

    election_seconds = 2.0, 2.4

    def test_a_lone_follower(self) -> None:
        """Clients of the other two notice nothing, neither when it is cut off nor when it returns; it catches up."""
        alone, other = self.followers
        elections = self.elections()
        writers = [self.writer(node, f"w{node.number}") for node in (self.leader, other)]
        self.acknowledge(20, *writers)
        self.network.isolate(alone.number)
        wait_until(lambda: alone.logged("leader_lost"), 10.0, "the lone node has lost its leader")
        for request in (["APPEND", "alone", "once,"], ["GET", "w1-0"]):
            began = time.monotonic()
            refusal = str(self.assertRaises(Refused, alone.call, *request))
            self.assertIn(refusal.split()[0], REFUSALS)
            self.assertLess(time.monotonic() - began, REQUEST_SECONDS + 1.0)
        self.acknowledge(20, *writers)
        self.network.heal()
        wait_until(alone.serves, 15.0, lambda: f"the lone node serves again; its log: {self.cluster.tail(alone)}")
        self.acknowledge(20, *writers)
        for writer in writers:
            writer.stop()
            self.assertEqual(writer.errors, [])
            self.assertFalse(writer.broken)
            self.assertLess(writer.longest_pause(), self.election_seconds[0])
        self.assertIs(self.cluster.leader(), self.leader)
        changed = [after - before for before, after in zip(elections, self.elections(), strict=True)]
        self.assertEqual([changed[node.number - 1] for node in (self.leader, other)], [0, 0])
        self.assertEqual(missing(alone, writers), [])
        self.assertIsNone(alone.call("GET", "alone"))


class PartitionTest(PartitionTestCase):
    """The others elect well before a lone leader gives up."""

    def test_a_write_under_way_when_the_net_is_cut(self) -> None:
        """It is answered UNCERTAIN in time, never acknowledged, and after healing it is there once."""
        alone = self.followers[0]
        connection = alone.connect()
        self.addCleanup(connection.close)
        self.assertEqual(connection.call("APPEND", "log", "before,"), 7)
        self.network.isolate(alone.number)
        began = time.monotonic()
        refusal = str(self.assertRaises(Refused, connection.call, "APPEND", "log", "during,"))
        self.assertEqual(refusal.split()[0], "UNCERTAIN")
        self.assertLess(time.monotonic() - began, REQUEST_SECONDS + 1.0)
        self.assertEqual(self.leader.call("GET", "log"), b"before,")
        self.network.heal()
        wait_until(lambda: self.leader.call("GET", "log") != b"before,", 15.0, "the write that was under way lands")
        self.assertEqual(connection.call("APPEND", "log", "after,"), 20)
        for node in self.cluster.nodes:
            self.assertEqual(node.call("GET", "log"), b"before,during,after,")

    def test_a_lone_leader(self) -> None:
        """The others elect; the old leader shows nothing old and acknowledges nothing; healed, all have the same."""
        old = self.leader
        self.assertEqual(old.call("APPEND", "log", "before,"), 7)
        appender, reader = old.connect(), Reader(old, "log")
        self.addCleanup(appender.close)
        self.addCleanup(reader.stop)
        self.network.isolate(old.number)
        cut_at = time.monotonic()
        appender.send("APPEND", "log", "during,")
        wait_until(self.followers[0].serves, 15.0, "the others elect")
        self.assertEqual(self.followers[0].call("APPEND", "log", "without,"), 15)
        written_at = time.monotonic()
        refusal = str(self.assertRaises(Refused, appender.read))
        self.assertEqual(refusal.split()[0], "UNCERTAIN")
        self.assertLess(time.monotonic() - cut_at, REQUEST_SECONDS + 1.0)
        for request in (["APPEND", "log", "refused,"], ["GET", "log"]):
            refusal = str(self.assertRaises(Refused, appender.call, *request))
            self.assertIn(refusal.split()[0], REFUSALS)
        ballots = [len(node.logged("leading")) for node in self.followers]
        self.network.heal()
        wait_until(old.serves, 15.0, lambda: f"the old leader follows; its log: {self.cluster.tail(old)}")
        self.assertIsNot(self.cluster.leader(), old)
        self.assertEqual([len(node.logged("leading")) for node in self.followers], ballots)
        self.assertEqual(len(old.wait_logged("stepped_down")), 1)
        wait_until(lambda: b"during," in old.call("GET", "log"), 15.0, "the uncertain write lands")
        reader.stop()
        self.assertEqual([error for error in reader.errors if error.split()[0] not in REFUSALS], [])
        self.assertEqual([value for at, value in reader.seen if at > written_at and b"without," not in value], [])
        logs = {node.call("GET", "log") for node in self.cluster.nodes}
        self.assertEqual(logs, {b"before,without,during,"})


class Reader:
    """Reads one key of one node without pause, and remembers each value with the time at which its read began."""

    def __init__(self, node: RealNode, key: str) -> None:
        self.seen: list[tuple[float, Any]] = []
        self.errors: list[str] = []
        self._connection = node.connect(seconds=15.0)
        self._key = key
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                try:
                    self.seen.append((began, self._connection.call("GET", self._key)))
                except Refused as error:
                    self.errors.append(str(error))
        finally:
            self._connection.close()

    def stop(self) -> None:
        """Let the read under way finish; a second call does nothing."""
        self._stopping.set()
        self._thread.join(20.0)
        assert not self._thread.is_alive(), "the reader still waits for an answer"
