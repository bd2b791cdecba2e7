"""Three nodes of etcd, asked through its own client library."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.etcd_load import EtcdLoad
from benchmarks.local import HOST, free_ports, start_process
from dkv.cli.benchmarks import processes
from dkv.cli.benchmarks.drivers import LoadResult
from dkv.cli.benchmarks.systems import ANSWER_SECONDS, PATIENCE_SECONDS, wait
from dkv.cli.benchmarks.workload import ALL_NODES, Usage, Workload
from dkv.cli.metrics import samples


class Etcd:
    """Starts three nodes with etcd's defaults; ``Failure`` if etcd, or what its generator is built with, is missing."""

    name = "etcd"

    def __init__(self, directory: Path, _: str, life: ExitStack) -> None:
        self._directory = directory
        self._life = life
        self._load = EtcdLoad(directory)
        ports = free_ports(6)
        self._clients, self._peers = ports[:3], ports[3:]
        self._processes = [self._start(number) for number in range(3)]
        for port in self._clients:
            self._wait_serves(port)

    def pids(self) -> Sequence[int]:
        """There is one process for each node."""
        return [process.pid for process in self._processes]

    def can(self, workload: Workload) -> bool:
        """All workloads without a pipeline, which etcd does not have."""
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
        """Fsyncs are those of the write-ahead log."""
        fsyncs = sum(self._metric(port, "etcd_disk_wal_fsync_duration_seconds_count") for port in self._clients)
        return Usage(processes.cpu_seconds(self.pids()), processes.written_bytes(self.pids()), int(fsyncs))

    def spread(self) -> EtcdSpread:
        """The same cluster, asked as etcd's client library asks it by default."""
        return EtcdSpread(self)

    def write_for(self, clients: int, seconds: float) -> LoadResult:
        """Write with clients that know all nodes."""
        patience = {"patience_seconds": PATIENCE_SECONDS, "everywhere": True}
        return self._load.run(self._at(), clients=clients, seconds=seconds, operation="set", **patience)

    def kill_leader(self) -> Callable[[], None]:
        """Kill the leader; the function that is returned starts it again, and waits until it serves."""
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
        """The ids of a node and its leader; None while it does not know both."""
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
    """An etcd cluster whose clients connect to all nodes, whatever a workload says, as etcd's client library does."""

    name = "etcd_spread"

    def __init__(self, etcd: Etcd) -> None:
        self.can, self.fill, self.usage = etcd.can, etcd.fill, etcd.usage
        self._etcd = etcd

    def run(self, workload: Workload, requests: int) -> LoadResult:
        """Ask all nodes."""
        return self._etcd.run(replace(workload, to=ALL_NODES), requests)
