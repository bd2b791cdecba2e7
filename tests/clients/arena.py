"""Where programs run: three real nodes, of which the leader is killed; or, to prove a program, one redis-server."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Protocol

from tests.integration.processes import HOST, Connection, RealCluster, RealNode, free_ports, wait_until

NAME = "dkv"
"""As ``make cluster`` calls it, so that the page's examples find it."""


class Arena(Protocol):
    """What a program is run against."""

    def ports(self, dying_first: bool) -> list[int]:
        """The ports of all nodes; the one that will be killed is the first or the last of them."""

    def kill(self) -> None:
        """Kill it."""

    def mend(self) -> None:
        """Make all whole and empty again."""

    def refusals(self) -> list[dict[str, object]]:
        """What the nodes logged of words that they do not have."""

    def close(self) -> None:
        """End all processes."""


class Cluster:
    """Three nodes of dkv."""

    def __init__(self) -> None:
        self._cluster = RealCluster(name=NAME)
        self._cluster.start()
        self._leader: RealNode = self._cluster.leader()

    def ports(self, dying_first: bool) -> list[int]:
        """Those of the leader and of the two others."""
        self._leader = self._cluster.leader()
        others = [node.port for node in self._cluster.nodes if node is not self._leader]
        return [self._leader.port, *others] if dying_first else [*others, self._leader.port]

    def kill(self) -> None:
        """kill -9 of the leader."""
        self._leader.kill()

    def mend(self) -> None:
        """Start the node that was killed, wait until all serve, and delete all keys."""
        for node in self._cluster.nodes:
            if node.process is None:
                node.start()
        self._cluster.wait_ready()
        self._cluster.leader().call("FLUSHALL")

    def refusals(self) -> list[dict[str, object]]:
        """The lines ``word_refused`` of all nodes."""
        return [line for node in self._cluster.nodes for line in node.logged("word_refused")]

    def close(self) -> None:
        """End all nodes."""
        self._cluster.close()


class RedisServer:
    """One redis-server, which nobody kills: a program that does not pass here is wrong."""

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        assert program is not None, "redis-server is not installed"
        self._directory = Path(tempfile.mkdtemp(prefix="dkv-test-"))
        (self._port,) = free_ports(1)
        command = [program, "--port", str(self._port), "--bind", HOST, "--save", "", "--dir", str(self._directory)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self._answers, 10.0, "redis-server answers")

    def _answers(self) -> bool:
        try:
            connection = Connection(self._port)
        except OSError:
            return False
        answer = connection.call("PING")
        connection.close()
        return bool(answer == "PONG")

    def ports(self, dying_first: bool) -> list[int]:
        """Its own."""
        return [self._port]

    def kill(self) -> None:
        """It stays."""

    def mend(self) -> None:
        """Delete all keys."""
        connection = Connection(self._port)
        connection.call("FLUSHALL")
        connection.close()

    def refusals(self) -> list[dict[str, object]]:
        """It has all words."""
        return []

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self._directory, ignore_errors=True)
