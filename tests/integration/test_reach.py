"""Nodes that are reached one way only, and names that no DNS answers for, with real processes."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import HOST, RealCluster, RealNode, free_ports, wait_until
from tests.integration.test_admin import fetch

REQUEST_SECONDS = 2.0
HANGING = """
import socket, sys, threading
getaddrinfo = socket.getaddrinfo

def hang(name, *arguments, **options):
    if str(name).startswith("hangs"):
        threading.Event().wait()
    return getaddrinfo(name, *arguments, **options)

socket.getaddrinfo = hang
from twisted.scripts.twistd import run
sys.argv[1:4] = []
run()
"""
"""Runs twistd in a process in which some names are never found: it is given before the command line of a node."""


def status(node: RealNode) -> dict[str, Any]:
    """What ``/status`` says."""
    found = json.loads(fetch(node, "/status")[1])
    assert isinstance(found, dict)
    return found


def start(node: RealNode, *prefix: str) -> None:
    """Start a node, and wait until it answers an operator."""
    node.start(*prefix)

    def lives() -> bool:
        try:
            return fetch(node, "/livez")[0] == 200
        except OSError:
            return False

    wait_until(lives, 15.0, "it lives")


class ReachTests(SynchronousTestCase):
    """Three nodes that know each other; node 3 is started again with other addresses of its peers."""

    def setUp(self) -> None:
        self.cluster = RealCluster(settings=f"[timings]\nrequest_seconds = {REQUEST_SECONDS}\n")
        self.addCleanup(self.cluster.close)
        self.cluster.start()

    def dials(self, node: RealNode, addresses: dict[int, str]) -> None:
        """From its next start on the node dials these peers at other addresses."""
        text = self.cluster.config_path.read_text()
        for number, address in addresses.items():
            bind = f'"{HOST}:{self.cluster.nodes[number - 1].peer_port}"'
            text = text.replace(f"peer = {bind}", f'peer = {{ bind = {bind}, advertise = "{address}" }}')
        node.config_path = self.cluster.directory / f"node{node.number}.toml"
        node.config_path.write_text(text)

    def test_b41_a_node_that_only_hears(self) -> None:
        """It hears a leader, says it is not ready and why, and disturbs nobody; reached again, it is ready at once."""
        *others, three = self.cluster.nodes
        whole = three.config_path
        three.stop()
        ports = free_ports(2)
        self.dials(three, {node.number: f"{HOST}:{port}" for node, port in zip(others, ports, strict=True)})
        start(three)
        wait_until(lambda: status(three)["leader"], 15.0, "it hears a leader")
        ballot = status(others[0])["ballot"]
        wait_until(lambda: list(status(three)["failing"]) == ["served"], 10.0, "it lacks nothing else")
        began = time.monotonic()
        while time.monotonic() < began + REQUEST_SECONDS + 1:
            self.assertEqual(fetch(three, "/readyz")[0], 503)
        found = status(three)
        self.assertIn(f"node {found['leader']}, the leader, has not answered this node", found["failing"]["served"])
        for peer in found["peers"]:
            told = peer["connected"], peer["accepted"], peer["problem"]
            self.assertEqual(told, (False, True, "connection refused"))
        lines = {line["address"]: line["reason"] for line in three.logged("peer_unreachable")[-2:]}
        addresses = [f"tcp:host={HOST}:port={port}" for port in ports]
        self.assertEqual(lines, dict.fromkeys(addresses, "connection refused"), "once for each peer")
        for node in others:
            self.assertEqual(fetch(node, "/readyz")[0], 200)
            self.assertEqual(status(node)["ballot"], ballot, "no election was disturbed")
        three.stop()
        three.config_path = whole
        start(three)
        wait_until(lambda: fetch(three, "/readyz")[0] == 200, 15.0, "ready again")

    def test_a_dns_that_hangs(self) -> None:
        """Names that are found are dialled, a node that has to wait for the others' says so, and it stops at once."""
        _, two, three = self.cluster.nodes
        three.stop()
        self.dials(three, {1: "hangs.example:5101", 2: f"localhost:{two.peer_port}"})
        start(three, sys.executable, "-c", HANGING)
        words = "the look-up of the name hangs.example is not answered"
        wait_until(lambda: [peer["problem"] for peer in status(three)["peers"]] == [words, None], 15.0, words)
        two.kill()
        two.start()
        wait_until(lambda: status(three)["peers"][1]["connected"], 15.0, "dialled again while the look-up hangs")
        began = time.monotonic()
        three.stop()
        self.assertLess(time.monotonic() - began, 2.5, "drain_seconds, and a little for the process to end")

    def test_listening_at_a_name_that_hangs(self) -> None:
        """A node that waits for its own address obeys its signals."""
        three = self.cluster.nodes[2]
        three.stop()
        text = three.config_path.read_text()
        three.config_path = self.cluster.directory / "hanging.toml"
        bind = f'"{HOST}:{three.peer_port}"'
        endpoint = f'{{ bind = "hangs.example:{three.peer_port}", advertise = {bind} }}'
        three.config_path.write_text(text.replace(f"peer = {bind}", f"peer = {endpoint}"))
        runs = three.log_path.read_text().count("starting up")
        three.start(sys.executable, "-c", HANGING)
        wait_until(lambda: three.log_path.read_text().count("starting up") > runs, 10.0, "the reactor runs")
        assert three.process is not None
        three.signal(signal.SIGTERM)
        three.process.wait(5)
        three.process = None
