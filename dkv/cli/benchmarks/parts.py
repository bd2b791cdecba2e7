"""The parts of a benchmark. Each yields rows: flat dicts for people, Markdown and JSON alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Any

from dkv.cli.benchmarks import processes
from dkv.cli.benchmarks.rounds import Comparison, Rounds
from dkv.cli.benchmarks.systems import Cluster, OwnDkv
from dkv.cli.benchmarks.workload import ALL_NODES, LEADER_NODE, Workload, size

Row = dict[str, Any]

TARGETS = (
    (Workload("set", 1), 0.33, 2.0),
    (Workload("set", 16), 0.33, 2.5),
    (Workload("set", 64), 0.33, 3.0),
    (Workload("set", 256), 0.45, 3.0),
    (Workload("set", 50, pipeline=16), 0.30, None),
    (Workload("get", 64), 0.50, 3.0),
    (Workload("get", 256), 0.50, 3.0),
)
"""The targets of dkv: its throughput as a share of that of one redis-server, and as a multiple of etcd's."""

IDLE_SECONDS = 30.0
IDLE_CPU_MAX = 0.02
HELD_BYTES_MAX = 150 * 10**6
GAP_SECONDS_MAX = 1.0
UNDER_WAY_BYTES_MAX = 32 * 2**20
"""A workload with more measures queues: the requests under way would exceed a node's limits."""

FAILOVERS = 10
FAILOVER_CLIENTS = 64
FAILOVER_SECONDS = 6.0
KILL_AFTER_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Grid:
    """Workloads: every combination of these."""

    operations: tuple[str, ...] = ("set", "get", "mixed")
    clients: tuple[int, ...] = (1, 16, 64, 256)
    pipelines: tuple[int, ...] = (1, 16)
    value_bytes: tuple[int, ...] = (64, 1024, 64 * 1024)
    to: tuple[str, ...] = (LEADER_NODE, ALL_NODES)
    keys: int = 10_000

    def workloads(self) -> list[Workload]:
        """All but those with too much under way. Large values come last, as they keep the disks busy afterwards."""
        combinations = product(sorted(self.value_bytes), self.to, self.pipelines, self.operations, self.clients)
        return [
            Workload(operation, clients, pipeline, value_bytes, self.keys, to)
            for value_bytes, to, pipeline, operation, clients in combinations
            if clients * pipeline * value_bytes <= UNDER_WAY_BYTES_MAX
        ]


def throughput(rounds: Rounds, grid: Grid) -> Iterator[Row]:
    """Each workload on each system."""
    for workload in grid.workloads():
        yield from comparison_rows(rounds.compare(workload))


def comparison_rows(comparison: Comparison) -> Iterator[Row]:
    """A row for each system."""
    for name in comparison.samples:
        sample = comparison.of(name)
        assert sample is not None, "it has runs"
        ratio = comparison.ratio(name)
        row: Row = {"workload": comparison.workload.name, "system": name} | sample.fields()
        yield row | {"dkv_is_times": None if ratio is None else round(ratio, 2)}


def targets(rounds: Rounds) -> Iterator[Row]:
    """The targets of dkv, and the throughput that it reaches."""
    for workload, against_redis, against_etcd in TARGETS:
        comparison = rounds.compare(workload)
        ours = comparison.of("dkv")
        assert ours is not None, "dkv can do all of them"
        row: Row = {"workload": workload.name, "dkv_ops_per_second": round(ours.operations_per_second)}
        for system, target in (("redis", against_redis), ("etcd", against_etcd), ("etcd_spread", against_etcd)):
            theirs, ratio = comparison.of(system), comparison.ratio(system)
            row |= {
                f"{system}_ops_per_second": None if theirs is None else round(theirs.operations_per_second),
                f"of_{system}": None if ratio is None else round(ratio, 2),
                f"{system}_target": None if ratio is None else target,
                f"{system}_met": None if ratio is None or target is None else ratio >= target,
            }
        yield row


# --- the cluster by itself ---


def idle(cluster: OwnDkv, tick: Callable[[str], None]) -> Iterator[Row]:
    """The processor time of nodes without requests, and the memory that they hold after all earlier measurements."""
    tick("dkv: idle")
    before, began = processes.cpu_seconds(cluster.pids()), time.monotonic()
    time.sleep(IDLE_SECONDS)  # this is the measurement
    share = (processes.cpu_seconds(cluster.pids()) - before) / (time.monotonic() - began)
    yield {
        "measured": f"processor time of {len(cluster.pids())} idle nodes together, for each of one processor's seconds",
        "value": f"{share:.2%}",
        "target": f"{IDLE_CPU_MAX:.0%}",
        "met": share < IDLE_CPU_MAX,
    }
    held = max(map(processes.held_bytes, cluster.pids()))
    yield {
        "measured": "memory that the largest node holds, after all that was measured before",
        "value": size(held),
        "target": size(HELD_BYTES_MAX),
        "met": held < HELD_BYTES_MAX,
    }
    yield {
        "measured": "the same with what Linux keeps of files that the node has mapped, such as tables of values",
        "value": size(max(map(processes.resident_bytes, cluster.pids()))),
        "target": None,
        "met": None,
    }


def failover(clusters: Sequence[Cluster], count: int, tick: Callable[[str], None]) -> Iterator[Row]:
    """How long no write is acknowledged when the leader is killed while 64 clients write."""
    for cluster in clusters:
        gaps = []
        for _ in range(count):
            tick(f"{cluster.name}: failover")
            gaps.append(_gap(cluster))
        middle = median(gaps)
        yield {
            "system": cluster.name,
            "failovers": count,
            "median_gap_seconds": round(middle, 3),
            "shortest": round(min(gaps), 3),
            "longest": round(max(gaps), 3),
            "target": GAP_SECONDS_MAX if cluster.name == "dkv" else None,
            "met": middle <= GAP_SECONDS_MAX if cluster.name == "dkv" else None,
        }


def _gap(cluster: Cluster) -> float:
    """The longest time without an acknowledgement, in seconds, while a leader is killed."""

    def kill() -> Callable[[], None]:
        time.sleep(KILL_AFTER_SECONDS)  # some time into the load: the exact moment does not matter
        return cluster.kill_leader()

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        run = cluster.write_for(FAILOVER_CLIENTS, FAILOVER_SECONDS)
        start_again = killing.result()
    start_again()
    return run.longest_gap
