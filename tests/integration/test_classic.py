"""Classic mode, with real processes: what is promised in leader mode holds, and the mode can be switched."""

from __future__ import annotations

import signal

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import CLASSIC, LEADER
from tests.integration import test_crashes
from tests.integration.load import Writer, missing
from tests.integration.processes import RealCluster, Refused, wait_until
from tests.integration.test_crashes import acknowledge


class ClassicTest(SynchronousTestCase):
    """A user loses acknowledged data, or waits too long, if one of these fails."""

    def setUp(self) -> None:
        self.cluster = RealCluster(mode=CLASSIC)
        self.addCleanup(self.cluster.close)
        self.cluster.start()

    def writers(self) -> list[Writer]:
        writers = [Writer(node, f"w{node.number}{letter}") for node in self.cluster.nodes for letter in "ab"]
        for writer in writers:
            self.addCleanup(writer.stop)
        return writers

    def test_every_node_serves(self) -> None:
        """Each write is seen by a read on any other node that begins after it; nobody says that it leads."""
        connections = [node.connect() for node in self.cluster.nodes]
        for number in range(100):
            self.assertEqual(connections[number % 3].call("PUT", "key", number), "OK")
            self.assertEqual(connections[(number + 1) % 3].call("GET", "key"), b"%d" % number)
        info = connections[0].call("INFO").decode()
        self.assertIn("dkv_role:peer\r\n", info)
        self.assertIn("dkv_leader:0\r\n", info)
        for connection in connections:
            connection.close()
        self.assertEqual(
            [line["mode"] for node in self.cluster.nodes for line in node.logged("started")], [CLASSIC] * 3
        )

    def test_all_write_at_once(self) -> None:
        """Nobody is kept out by others that write too, and no write makes a log line."""
        lines = sum(len(node.log_lines()) for node in self.cluster.nodes)
        writers = self.writers()
        acknowledge(writers, 150)
        for writer in writers:
            writer.stop()
            self.assertEqual(writer.errors, [])
            self.assertLess(writer.longest_pause(), 2.0)
        for node in self.cluster.nodes:
            self.assertEqual(missing(node, writers), [], f"node {node.number}")
        self.assertLess(sum(len(node.log_lines()) for node in self.cluster.nodes) - lines, 60)

    def test_each_node_killed_in_turn_under_load(self) -> None:
        """The others go on without an error, and nothing acknowledged is lost."""
        all_writers = []
        for victim in self.cluster.nodes:
            writers = self.writers()
            all_writers += writers
            acknowledge(writers, 10)
            victim.kill()
            acknowledge(writers, 10)
            victim.start()
            self.cluster.wait_ready()
            for writer in writers:
                writer.stop()
                self.assertEqual(writer.errors, [])
                if writer.node is not victim:
                    self.assertLess(writer.longest_pause(), 1.5)
        for node in self.cluster.nodes:
            self.assertEqual(missing(node, all_writers), [], f"node {node.number}")

    def test_all_killed_at_once(self) -> None:
        """After kill -9 of all three under load and a restart, everything acknowledged is there."""
        writers = self.writers()
        acknowledge(writers, 30)
        for node in self.cluster.nodes:
            node.signal(signal.SIGKILL)
        for node in self.cluster.nodes:
            node.kill()
        for writer in writers:
            writer.stop()
        for node in self.cluster.nodes:
            node.start()
        self.cluster.wait_ready()
        for node in self.cluster.nodes:
            self.assertEqual(missing(node, writers), [], f"node {node.number}")

    def test_a_node_that_was_down_catches_up(self) -> None:
        """It fetches what it missed by itself, and serves."""
        other, _, absent = self.cluster.nodes
        absent.kill()
        connection = other.connect()
        for number in range(1000):
            connection.call("PUT", f"k{number}", b"x" * 3000)
        connection.close()
        absent.start()
        wait_until(absent.serves, 30.0, "the node serves again")
        connection = absent.connect()
        for number in range(0, 1000, 7):
            self.assertEqual(connection.call("GET", f"k{number}"), b"x" * 3000)
        connection.close()
        self.assertGreaterEqual(sum(line["slots"] for line in absent.logged("catchup_ended")), 900)


class ClassicMinorityTest(test_crashes.MinorityTest):
    """The same where nobody leads."""

    mode = CLASSIC


class SwitchTest(SynchronousTestCase):
    """An operator changes the mode."""

    def setUp(self) -> None:
        self.cluster = RealCluster(settings="[timings]\nrequest_seconds = 2.0\n")
        self.addCleanup(self.cluster.close)
        self.cluster.start()

    def test_there_and_back(self) -> None:
        """The same data under both modes, whether the nodes were stopped or killed."""
        first, second, third = self.cluster.nodes
        self.assertEqual(first.call("PUT", "a", "1"), "OK")
        for mode, end in ((CLASSIC, "stop"), (LEADER, "kill"), (CLASSIC, "kill"), (LEADER, "stop")):
            for node in self.cluster.nodes:
                getattr(node, end)()
            self.cluster.set_mode(mode)
            self.cluster.start()
            self.assertEqual(third.call("GET", "a"), b"1")
            self.assertEqual(second.call("APPEND", "log", mode[:1]), len(second.call("GET", "log")))
        self.assertEqual(first.call("GET", "log"), b"clcl")

    def test_one_node_was_forgotten(self) -> None:
        """It takes no part, says why in one line, and is no harm; switched at last, it serves what the others wrote."""
        first, second, forgotten = self.cluster.nodes
        self.assertEqual(forgotten.call("PUT", "a", "before"), "OK")
        classic = self.cluster.set_mode(CLASSIC, "classic.toml")
        for node in (first, second):
            node.stop()
            node.config_path = classic
            node.start()
        wait_until(lambda: first.serves() and second.serves(), 15.0, "two of three serve")
        self.assertEqual(first.call("PUT", "a", "after"), "OK")
        self.assertRaises(Refused, forgotten.call, "GET", "a")
        wait_until(lambda: len(forgotten.logged("peer_refused")) >= 2, 10.0, "it says why")
        reasons = {line["reason"] for line in forgotten.logged("peer_refused") + forgotten.logged("refused_by_peer")}
        self.assertTrue(all("set the same mode for all members" in reason for reason in reasons), reasons)
        self.assertLess(len(forgotten.logged("peer_refused")), 6)
        forgotten.stop()
        forgotten.config_path = classic
        forgotten.start()
        wait_until(forgotten.serves, 15.0, "it serves again")
        self.assertEqual(forgotten.call("GET", "a"), b"after")
