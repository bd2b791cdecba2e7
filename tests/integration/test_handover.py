"""The lead goes to another node: by an order, and when the leader is stopped. Clients of other nodes see no error."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import CLASSIC
from tests.integration.load import Writer, missing
from tests.integration.processes import RealCluster, RealNode, Refused, child_environment, wait_until
from tests.integration.test_crashes import acknowledge

PAUSE_SECONDS = 0.5
"""It takes hundredths of a second, and an election after silence more than a whole one; tests share the machine."""


class HandoverTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = RealCluster()
        self.addCleanup(self.cluster.close)
        self.cluster.start()

    def writers(self) -> list[Writer]:
        """Two for each node."""
        writers = [Writer(node, f"w{node.number}{letter}") for node in self.cluster.nodes for letter in "ab"]
        for writer in writers:
            self.addCleanup(writer.stop)
        acknowledge(writers, 20)
        return writers

    def transfer(self, to: int, *options: str) -> subprocess.CompletedProcess[str]:
        """``dkv leader transfer``."""
        endpoints = ",".join(f"{node.host}:{node.port}" for node in self.cluster.nodes)
        command = [sys.executable, "-m", "dkv.cli.main", "leader", "transfer", str(to), "--endpoints", endpoints]
        return subprocess.run(
            [*command, *options], capture_output=True, text=True, env=child_environment(), timeout=30, check=False
        )

    def elections(self) -> int:
        """How often a node polled its way to the lead, or tried."""
        asked = sum(len(node.logged("phase1_started")) for node in self.cluster.nodes)
        return asked - sum(len(node.logged("taking_over")) for node in self.cluster.nodes)

    def test_stopped_leader_hands_over(self) -> None:
        """A rolling restart costs no election: writes pause for a moment, and nothing that was acknowledged is lost."""
        writers = self.writers()
        pauses = []
        for _ in range(2):
            leader = self.cluster.leader()
            others = [writer for writer in writers if writer.node is not leader and not writer.broken]
            before, began = self.elections(), time.monotonic()
            leader.stop()
            acknowledge(others, 20)
            pauses.append(self.longest_pause(others, began))
            for writer in others:
                self.assertEqual((writer.errors, writer.broken), ([], False))
            heirs = [node for node in self.cluster.nodes if node is not leader and node.logged("taking_over")]
            self.assertEqual(len(leader.logged("handing_over")), 1, leader.number)
            self.assertNotEqual(heirs, [])
            self.assertEqual(self.elections(), before, "nobody had to poll")
            leader.start()
            self.cluster.wait_ready()
            writers += [Writer(leader, f"again{leader.number}{leader.logged('started')[-1]['boot']}")]
            self.addCleanup(writers[-1].stop)
        for writer in writers:
            writer.stop()
        self.assertLess(max(pauses), PAUSE_SECONDS)
        for node in self.cluster.nodes:
            self.assertEqual(missing(node, writers), [], f"node {node.number}")

    def longest_pause(self, writers: list[Writer], since: float) -> float:
        """The longest time between two acknowledgements of one client, from about then on."""
        longest = 0.0
        for writer in writers:
            times = [at for at, _ in writer.acknowledged if at > since - 0.05]
            longest = max([longest, *(later - earlier for earlier, later in pairwise(times))])
        return longest

    def test_transfer_under_load(self) -> None:
        """No client of any node sees an error, the old leader's neither."""
        writers = self.writers()
        leader = self.cluster.leader()
        first, second = [node.number for node in self.cluster.nodes if node is not leader]
        for to in (first, second, leader.number):
            done = self.transfer(to)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, rf"\Anode {to} leads in ballot \d+\.{to}; node \d did before\n\Z")
            self.assertEqual(self.cluster.leader().number, to)
            acknowledge(writers, 10)
        self.assertIn("leads already", self.transfer(leader.number).stdout)
        for writer in writers:
            writer.stop()
            self.assertEqual((writer.errors, writer.broken), ([], False))
            self.assertLess(writer.longest_pause(), PAUSE_SECONDS)

    def test_refused_in_words(self) -> None:
        """Whoever names a node that is down, or none, reads why; the leader leads on."""
        leader = self.cluster.leader()
        other, down = [node for node in self.cluster.nodes if node is not leader]
        down.kill()
        silent = f"ERR node {down.number} does not answer, so it cannot take over"
        wait_until(lambda: self.refusal(leader, down.number) == silent, 10.0, "the leader has noticed")
        self.assertIn("is no voter", str(self.refusal(leader, 7)))
        self.assertIn(
            f"node {leader.number} does: send this to node {leader.number}", str(self.refusal(other, down.number))
        )
        refused = self.transfer(down.number)
        self.assertEqual(refused.returncode, 4)
        self.assertIn(f"node {down.number} does not answer", refused.stderr)
        self.assertIs(self.cluster.leader(), leader)

    def refusal(self, node: RealNode, to: int) -> str | None:
        """What the node says to an order to hand over; None if it takes it."""
        try:
            node.call("DKV.LEADER", "TRANSFER", to)
        except Refused as error:
            return str(error)
        return None


class AloneTest(SynchronousTestCase):
    def test_the_last_node_stops_at_once(self) -> None:
        """A leader that nobody can follow does not wait for anybody."""
        cluster = RealCluster(1)
        self.addCleanup(cluster.close)
        cluster.start()
        began = time.monotonic()
        cluster.nodes[0].stop()
        self.assertLess(time.monotonic() - began, 1.5)
        self.assertEqual(len(cluster.nodes[0].logged("not_handed_over")), 1)

    def test_classic_mode(self) -> None:
        """Nobody leads, and the command says so."""
        cluster = RealCluster(1, mode=CLASSIC)
        self.addCleanup(cluster.close)
        cluster.start()
        self.assertRaisesRegex(
            Refused, "nobody leads in classic mode", cluster.nodes[0].call, "DKV.LEADER", "TRANSFER", 1
        )
        command = [sys.executable, "-m", "dkv.cli.main", "leader", "transfer", "1"]
        environment = {**child_environment(), "DKV_ENDPOINTS": f"127.0.0.1:{cluster.nodes[0].port}"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=False)
        self.assertEqual((done.returncode, done.stderr), (4, "dkv: refused: nobody leads in classic mode\n"))
