"""Real nodes for integration tests: ``twistd dkvnode`` processes on free ports of 127.0.0.1, with fsync on.

Everything waits on conditions, with a deadline; everything started is ended.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dkv
from dkv.settings import LEADER
from dkv.storage.data_directory import initialise

HOST = "127.0.0.1"
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], Any], seconds: float, what: str | Callable[[], str]) -> Any:
    """Poll until ``condition()`` is true, and return what it returned; AssertionError after ``seconds``."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what if isinstance(what, str) else what()}")
        time.sleep(pause)  # between two looks at a condition
        pause = min(pause * 1.5, POLL_SECONDS)
    return result


def child_environment() -> dict[str, str]:
    """This environment, with the sources under test first on Python's path."""
    sources = str(Path(dkv.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([sources, os.environ.get("PYTHONPATH", "")])}


_given_ports: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on at the moment, and that this process was not given before."""
    sockets: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            sockets.append(socket.socket())
            sockets[-1].bind((HOST, 0))
            port = sockets[-1].getsockname()[1]
            if port not in _given_ports:
                ports.append(port)
    finally:
        for each in sockets:
            each.close()
    _given_ports.update(ports)
    return ports


class Refused(Exception):
    """An error reply; the text is the server's."""


class Connection:
    """A blocking RESP2 connection that shows exactly what the server said."""

    def __init__(self, port: int, seconds: float = 10.0, host: str = HOST) -> None:
        self.socket = socket.create_connection((host, port), seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb")

    def send(self, *arguments: bytes | str | int) -> None:
        """Send one request without waiting for its reply."""
        encoded = [each if isinstance(each, bytes) else str(each).encode() for each in arguments]
        parts = [b"*%d\r\n" % len(encoded)] + [b"$%d\r\n%s\r\n" % (len(each), each) for each in encoded]
        self.socket.sendall(b"".join(parts))

    def read(self) -> Any:
        """The next reply: bytes, None, int or str; ``Refused`` for an error; ``EOFError`` at the end."""
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(f"the connection ended after {line!r}")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Refused(rest.decode())
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self._file.read(size + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        raise ValueError(f"not RESP2: {line!r}")

    def call(self, *arguments: bytes | str | int) -> Any:
        """One request and its reply."""
        self.send(*arguments)
        return self.read()

    def close(self) -> None:
        """Close at once."""
        self._file.close()
        self.socket.close()


class RealNode:
    """One node: its directory, its host and ports, and its process if it runs."""

    def __init__(
        self, cluster: RealCluster, number: int, port: int, peer_port: int, admin_port: int, host: str = HOST
    ) -> None:
        self.cluster = cluster
        self.number = number
        self.host = host
        self.port = port
        self.peer_port = peer_port
        self.admin_port = admin_port
        self.directory = cluster.directory / f"node{number}"
        self.config_path = cluster.config_path
        self.log_path = cluster.directory / f"node{number}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.twistd: Sequence[str] = TWISTD

    def command(self) -> list[str]:
        """The command line that runs it in the foreground."""
        command = [*self.twistd, "-n", "--pidfile=", "dkvnode", "--config", str(self.config_path)]
        return [*command, "--node", str(self.number), "--data-dir", str(self.directory)]

    def init_command(self) -> list[str]:
        """The command line that initialises its directory."""
        command = [sys.executable, "-m", "dkv.cli.main", "init", "--config", str(self.config_path)]
        return [*command, "--node", str(self.number), "--data-dir", str(self.directory)]

    def make_directory_by(self, member: RealNode) -> None:
        """Its directory as that of a node which no member has added yet, by what ``member`` tells of the cluster."""
        told = json.loads(member.call("DKV.MEMBER", "JOIN"))
        key = bytes.fromhex(told["cluster_key"])
        initialise(str(self.directory), told["cluster"], self.number, told["first_members"], key)

    def start(self, *prefix: str) -> None:
        """Start the process; ``prefix`` is a command to run it under."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*prefix, *self.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=child_environment()
            )

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def stop(self, seconds: float = 15.0) -> None:
        """SIGTERM; AssertionError unless it says at its end that it has stopped, and ends with status 0."""
        assert self.process is not None
        stops = len(self.logged("stopped"))
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(seconds)
        self.process = None
        assert status == 0, f"node {self.number} ended with status {status}"
        assert len(self.logged("stopped")) == stops + 1, f"node {self.number} ended without having stopped"

    def connect(self, seconds: float = 10.0) -> Connection:
        """A connection to its client port."""
        return Connection(self.port, seconds, self.host)

    def call(self, *arguments: bytes | str | int) -> Any:
        """One request on a connection of its own."""
        connection = self.connect()
        try:
            return connection.call(*arguments)
        finally:
            connection.close()

    def serves(self) -> bool:
        """Whether it answers a linearizable read."""
        try:
            self.call("GET", "is-it-ready")
        except (OSError, EOFError, Refused):
            return False
        return True

    def log_lines(self) -> list[dict[str, Any]]:
        """Its log of all lives, one dict a line; a line that is not JSON fails the test."""
        lines = self.log_path.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of one event."""
        return [line for line in self.log_lines() if line["event"] == event]

    def wait_logged(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        """The same, as soon as there are so many: a node writes its log a moment after what it tells of."""

        def lines() -> list[dict[str, Any]] | None:
            found = self.logged(event)
            return found if len(found) >= times else None

        found: list[dict[str, Any]] = wait_until(lines, 10.0, f"node {self.number} logs {event!r} {times} times")
        return found


CLUSTER_KEY = b"of all clusters "


class RealCluster:
    """``size`` nodes in a temporary directory; use ``addCleanup(cluster.close)``."""

    def __init__(
        self,
        size: int = 3,
        settings: str = "",
        directory: Path | None = None,
        mode: str = LEADER,
        top: str = "",
        hosts: Sequence[str] = (),
        name: str = "test",
    ) -> None:
        self.name = name
        self.directory = Path(tempfile.mkdtemp(prefix="dkv-test-", dir=directory))
        self.config_path = self.directory / "cluster.toml"
        ports = free_ports(3 * size)
        self.nodes: list[RealNode] = []
        for index, host in enumerate(hosts or [HOST] * size):
            port, peer_port, admin_port = ports[3 * index : 3 * index + 3]
            self.nodes.append(RealNode(self, index + 1, port, peer_port, admin_port, host))
        self._top, self._settings = top, settings
        self.set_mode(mode)
        for node in self.nodes:
            self.initialise(node)

    def initialise(self, node: RealNode) -> None:
        """What `dkv init` does."""
        members = [each.number for each in self.nodes]
        initialise(str(node.directory), self.name, node.number, members, CLUSTER_KEY)

    def set_mode(self, mode: str, name: str = "cluster.toml") -> Path:
        """Write the config with this mode, for nodes that are started from now on; where it is."""
        self.mode = mode
        tables = [
            f'[[node]]\nid = {node.number}\nclient = "{node.host}:{node.port}"\n'
            f'peer = "{node.host}:{node.peer_port}"\nadmin = "{node.host}:{node.admin_port}"\n'
            for node in self.nodes
        ]
        path = self.directory / name
        path.write_text("\n".join([f'cluster = "{self.name}"\nmode = "{mode}"', self._top, *tables, self._settings]))
        return path

    def start(self) -> None:
        """Start all nodes and wait until each serves."""
        for node in self.nodes:
            node.start()
        self.wait_ready()

    def wait_ready(self, seconds: float = 30.0) -> None:
        """Wait until every node that runs serves."""
        for node in self.nodes:
            if node.process is not None:
                self._wait_for(node, seconds)

    def _wait_for(self, node: RealNode, seconds: float) -> None:
        def serves() -> bool:
            assert node.process is not None
            if node.process.poll() is not None:
                raise AssertionError(f"node {node.number} ended: {self.tail(node)}")
            return node.serves()

        wait_until(serves, seconds, lambda: f"node {node.number} serves; its log: {self.tail(node)}")

    def tail(self, node: RealNode) -> str:
        """The end of a node's log, for a failure's text."""
        return node.log_path.read_text()[-2000:] if node.log_path.exists() else "(none)"

    def leader(self) -> RealNode:
        """The node that all running nodes take for the leader; waits until they agree."""

        def agreed() -> RealNode | None:
            leaders = set()
            for node in self.nodes:
                if node.process is not None:
                    info = node.call("INFO").decode()
                    leaders |= {line.split(":")[1] for line in info.splitlines() if line.startswith("dkv_leader:")}
            if len(leaders) != 1 or leaders == {"0"}:
                return None
            number = int(leaders.pop())
            return next(node for node in self.nodes if node.number == number)

        leader = wait_until(agreed, 15.0, "all nodes agree on a leader")
        assert isinstance(leader, RealNode)
        return leader

    def is_whole(self) -> bool:
        """Whether every node runs and serves."""
        return all(node.process and node.process.poll() is None and node.serves() for node in self.nodes)

    def close(self) -> None:
        """End every process and remove the directory."""
        for node in self.nodes:
            if node.process is not None:
                node.process.send_signal(signal.SIGCONT)
            node.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


_shared: list[RealCluster] = []


def shared_cluster() -> RealCluster:
    """Three nodes that run, with the defaults, for tests that leave them as they are; nobody closes it.

    Other tests have used it: a test has keys of its own, and counts nothing but what it adds. A test that stops a node,
    or measures one, needs a cluster of its own.
    """
    if _shared and not _shared[0].is_whole():
        _shared.pop().close()
    if not _shared:
        cluster = RealCluster()
        atexit.register(cluster.close)
        cluster.start()
        _shared.append(cluster)
    return _shared[0]
