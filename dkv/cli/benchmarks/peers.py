"""Whom dkv is measured against: one redis-server, and an etcd cluster; each started here and ended in the end."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from dkv.cli.benchmarks import processes
from dkv.cli.benchmarks.drivers import EtcdLoad, LoadResult, ask
from dkv.cli.benchmarks.systems import ANSWER_SECONDS, PATIENCE_SECONDS, connection_to, fill, wait
from dkv.cli.benchmarks.workload import ALL_NODES, Usage, Workload
from dkv.cli.metrics import samples
from dkv.cli.output import Failure, Status
from dkv.client.blocking import Endpoint, NoAnswer, NotSent, ServerError

HOST = "127.0.0.1"


class Redis:
    """One redis-server, which syncs its append-only file before it acknowledges; ``Failure`` if it is not installed."""

    name = "redis"

    def __init__(self, directory: Path, generator: str, life: ExitStack) -> None:
        self._generator = generator
        self._endpoint = Endpoint(HOST, free_ports(1)[0])
        options = {"port": self._endpoint.port, "bind": HOST, "dir": directory, "appendonly": "yes"}
        options |= {"appendfsync": "always", "save": ""}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._process = start_process(["redis-server", *words], directory / "redis.log", life)
        wait(self._serves, "redis-server does not serve")

    def pids(self) -> Sequence[int]:
        """One."""
        return [self._process.pid]

    def can(self, workload: Workload) -> bool:
        """What one node can."""
        return workload.to != ALL_NODES

    def fill(self, keys: int, value_bytes: int) -> None:
        """Write every key once."""
        fill([self._endpoint], keys, value_bytes)

    def run(self, workload: Workload, requests: int) -> LoadResult:
        """Ask so often."""
        return ask([self._endpoint], workload, requests, self._generator)

    def usage(self) -> Usage:
        """It does not count its fsyncs."""
        return Usage(processes.cpu_seconds(self.pids()), processes.written_bytes(self.pids()), None)

    def _serves(self) -> bool:
        try:
            with connection_to(self._endpoint) as connection:
                return connection.call(b"PING") == "PONG"
        except (NotSent, NoAnswer, ServerError):
            return False


class Etcd:
    """Three nodes of etcd with its defaults; ``Failure`` if it, or what its generator is built with, is missing."""

    name = "etcd"

    def __init__(self, directory: Path, life: ExitStack) -> None:
        self._directory = directory
        self._life = life
        self._load = EtcdLoad(directory)
        ports = free_ports(6)
        self._clients, self._peers = ports[:3], ports[3:]
        self._processes = [self._start(number) for number in range(3)]
        for port in self._clients:
            self._wait_serves(port)

    def pids(self) -> Sequence[int]:
        """One for each node."""
        return [process.pid for process in self._processes]

    def can(self, workload: Workload) -> bool:
        """It has no pipelines."""
        return workload.pipeline == 1

    def fill(self, keys: int, value_bytes: int) -> None:
        """Write every key once."""
        self._load.run(self._at(), clients=256, requests=keys, keys=keys, value_bytes=value_bytes, operation="fill")

    def run(self, workload: Workload, requests: int) -> LoadResult:
        """Ask the leader alone, or every node."""
        return self._load.run(
            self._at() if workload.to == ALL_NODES else [f"{HOST}:{self._clients[self._leader()]}"],
            clients=workload.clients,
            requests=requests,
            keys=workload.keys,
            value_bytes=workload.value_bytes,
            operation=workload.operation,
        )

    def usage(self) -> Usage:
        """The fsyncs are those of its write-ahead log."""
        fsyncs = sum(self._metric(port, "etcd_disk_wal_fsync_duration_seconds_count") for port in self._clients)
        return Usage(processes.cpu_seconds(self.pids()), processes.written_bytes(self.pids()), int(fsyncs))

    def spread(self) -> EtcdSpread:
        """The same cluster, asked as etcd's client does by itself."""
        return EtcdSpread(self)

    def write_for(self, clients: int, seconds: float) -> LoadResult:
        """Write by clients that know all nodes."""
        patience = {"patience_seconds": PATIENCE_SECONDS, "everywhere": True}
        return self._load.run(self._at(), clients=clients, seconds=seconds, operation="set", **patience)

    def kill_leader(self) -> Callable[[], None]:
        """Kill the leader; the function starts it again, and waits until it serves."""
        leader = self._leader()
        self._processes[leader].kill()
        self._processes[leader].wait()

        def start() -> None:
            self._processes[leader] = self._start(leader)
            self._wait_serves(self._clients[leader])

        return start

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        peers = [f"http://{HOST}:{port}" for port in self._peers]
        here = f"http://{HOST}:{self._clients[number]}"
        options = {
            "name": f"n{number}",
            "data-dir": str(self._directory / f"n{number}"),
            "listen-client-urls": here,
            "advertise-client-urls": here,
            "listen-peer-urls": peers[number],
            "initial-advertise-peer-urls": peers[number],
            "initial-cluster-state": "new",
            "initial-cluster": ",".join(f"n{index}={peer}" for index, peer in enumerate(peers)),
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        return start_process(["etcd", *words], self._directory / f"n{number}.log", self._life)

    def _wait_serves(self, port: int) -> None:
        wait(lambda: self._member(port), f"etcd does not serve at port {port}")

    def _at(self) -> list[str]:
        return [f"{HOST}:{port}" for port in self._clients]

    def _leader(self) -> int:
        def found() -> list[int]:
            members = [self._member(port) for port in self._clients]
            return [number for number, each in enumerate(members) if each and each["leader"] == each["member"]]

        return wait(found, "etcd has no leader")[0]

    def _member(self, port: int) -> dict[str, str] | None:
        """A node's number and its leader's; None while it does not know both."""
        request = urllib.request.Request(f"http://{HOST}:{port}/v3/maintenance/status", b"{}")
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                status = json.load(answer)
        except OSError:
            return None
        if status.get("leader", "0") == "0":
            return None
        return {"member": status["header"]["member_id"], "leader": status["leader"]}

    def _metric(self, port: int, name: str) -> float:
        with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=ANSWER_SECONDS) as answer:
            text = answer.read().decode()
        return float(next(sample["value"] for sample in samples(text) if sample["name"] == name))


class EtcdSpread:
    """An etcd cluster whose clients are spread over all its nodes whatever a workload says: its client's own way."""

    name = "etcd_spread"

    def __init__(self, etcd: Etcd) -> None:
        self.can, self.fill, self.usage = etcd.can, etcd.fill, etcd.usage
        self._etcd = etcd

    def run(self, workload: Workload, requests: int) -> LoadResult:
        """Ask all nodes."""
        return self._etcd.run(replace(workload, to=ALL_NODES), requests)


# --- tools ---


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody uses at the moment."""
    with ExitStack() as held:
        streams = [held.enter_context(socket.socket()) for _ in range(count)]
        for stream in streams:
            stream.bind((HOST, 0))
        return [stream.getsockname()[1] for stream in streams]


def start_process(command: Sequence[str], log_path: Path, life: ExitStack) -> subprocess.Popen[bytes]:
    """Start what ``life`` will end; ``Failure`` if it is not installed."""
    if shutil.which(command[0]) is None:
        text = (
            f"{command[0]} is not installed: leave out --against, or install it (on Debian: redis-server, etcd-server)"
        )
        raise Failure(Status.FAILED, "NOT_INSTALLED", text)
    with open(log_path, "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def stop() -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    life.callback(stop)
    return process
