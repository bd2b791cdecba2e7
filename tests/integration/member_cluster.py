"""A cluster of real nodes whose members change by the commands that an operator has."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import LEADER
from tests.integration.processes import HOST, RealCluster, RealNode, child_environment, free_ports, wait_until
from tests.integration.recording import Recording

SECONDS = 60.0


class MemberCluster(RealCluster):
    """``nodes`` are those that belong to it at the moment, as the test sees it; ``gone`` are those that have left."""

    def __init__(self, size: int = 3, mode: str = LEADER) -> None:
        super().__init__(size, mode=mode)
        self.gone: list[RealNode] = []

    def node(self, number: int) -> RealNode:
        """The node with this id."""
        return next(node for node in self.nodes if node.number == number)

    def run(self, *words: str, ask: Sequence[RealNode] = ()) -> subprocess.CompletedProcess[str]:
        """A command, which is given the addresses of ``ask``, or of the first node that runs."""
        asked = ask or [node for node in self.nodes if node.process is not None][:1]
        endpoints = ",".join(f"{HOST}:{node.port}" for node in asked)
        command = [sys.executable, "-m", "dkv.cli.main", *words, "--endpoints", endpoints]
        return subprocess.run(
            command, capture_output=True, text=True, env=child_environment(), timeout=2 * SECONDS, check=False
        )

    def dkv(self, *words: str, ask: Sequence[RealNode] = (), status: int = 0) -> str:
        """What a command prints; AssertionError unless it ends with ``status``."""
        done = self.run(*words, ask=ask)
        assert done.returncode == status, f"dkv {' '.join(words)}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def new_node(self, number: int) -> RealNode:
        """A node that runs on a directory of this cluster, and was not added yet."""
        client, peer, admin = free_ports(3)
        node = RealNode(self, number, client, peer, admin)
        node.config_path = self.directory / f"cluster{number}.toml"
        tables = [
            f'[[node]]\nid = {each.number}\nclient = "{HOST}:{each.port}"\npeer = "{HOST}:{each.peer_port}"\n'
            for each in (*self.nodes, node)
        ]
        node.config_path.write_text("\n".join([f'cluster = "test"\nmode = "{self.mode}"', *tables]))
        member = next(each for each in self.nodes if each.process is not None)
        node.make_directory_by(member)
        node.start()
        self.nodes.append(node)
        wait_until(lambda: self.answers(node), SECONDS, lambda: f"node {number} answers: {self.tail(node)}")
        return node

    def join(self, number: int) -> RealNode:
        """A new node that is a standby and serves its clients."""
        node = self.new_node(number)
        self.dkv("member", "add", f"{HOST}:{node.port}")
        wait_until(node.serves, SECONDS, lambda: f"node {number} serves: {self.tail(node)}")
        return node

    def switch_off(self, *nodes: RealNode) -> None:
        """End nodes that have left; they are no nodes of the cluster any more."""
        for node in nodes:
            node.kill()
            self.nodes.remove(node)
            self.gone.append(node)

    def answers(self, node: RealNode) -> bool:
        """Whether a node says anything."""
        try:
            return bool(node.call("DKV.STATUS"))
        except (OSError, EOFError):
            return False

    def status(self, node: RealNode) -> dict[str, Any]:
        """What it says of itself."""
        fields: dict[str, Any] = json.loads(node.call("DKV.STATUS"))
        return fields

    def members(self) -> tuple[list[int], list[int]]:
        """The ids of the voters, and of the standbys."""
        fields = json.loads(self.dkv("member", "list", "--output", "json"))
        return fields["voters"], fields["standbys"]

    def close(self) -> None:
        """End every process, and remove the directory."""
        for node in self.gone:
            node.kill()
        super().close()


class MemberTestCase(SynchronousTestCase):
    """A cluster under load, whose clients see no error, and whose history is judged in the end."""

    def begin(self, size: int = 3, mode: str = LEADER) -> MemberCluster:
        """The cluster, which serves."""
        self.cluster = MemberCluster(size, mode)
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.recording = Recording(self.cluster.directory / "history.jsonl")
        self.addCleanup(self.recording.stop)
        return self.cluster

    def judge(self) -> None:
        """All clients saw answers to the end, and no error; what they were told can be explained."""
        self.recording.wait_answers()
        self.recording.stop()
        self.assertEqual(self.recording.verdict(), "")
