"""One redis-server: it shows the cost of a write that is synced and not replicated."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.local import HOST, free_ports, start_process
from dkv.cli.benchmarks import processes
from dkv.cli.benchmarks.drivers import LoadResult, ask
from dkv.cli.benchmarks.systems import connection_to, fill, wait
from dkv.cli.benchmarks.workload import ALL_NODES, Usage, Workload
from dkv.client.blocking import Endpoint, NoAnswer, NotSent, ServerError


class RedisServer:
    """Starts one, which syncs its append-only file before it acknowledges; ``Failure`` if it is not installed."""

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
        """There is one process."""
        return [self._process.pid]

    def can(self, workload: Workload) -> bool:
        """All workloads that need only one node."""
        return workload.to != ALL_NODES

    def fill(self, keys: int, value_bytes: int) -> None:
        """Write every key once."""
        fill([self._endpoint], keys, value_bytes)

    def run(self, workload: Workload, requests: int) -> LoadResult:
        """Send this many requests."""
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
