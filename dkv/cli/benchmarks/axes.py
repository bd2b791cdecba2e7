"""How the cost of an operation grows along each axis: the same two workloads, and one number that changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from dkv.cli.benchmarks import processes
from dkv.cli.benchmarks.parts import Row
from dkv.cli.benchmarks.rounds import Rounds
from dkv.cli.benchmarks.systems import OwnDkv
from dkv.cli.benchmarks.workload import KEYS, Workload, size

Start = Callable[[int], AbstractContextManager[OwnDkv]]
"""Starts a new cluster of this many nodes."""

CompareOn = Callable[[OwnDkv], Rounds]

CLIENTS = 64
KEY_COUNTS = (10_000, 100_000, 1_000_000, 5_000_000)
VALUE_BYTES = (64, 1024, 16 * 1024, 64 * 1024, 256 * 1024)
AGES = (1_000, 10_000, 100_000, 1_000_000)
NODES = (3, 5, 7)
CLIENT_COUNTS = (1, 10, 100, 1_000)
AGING = Workload("set", 50, pipeline=16)


def keys(start: Start, rounds_on: CompareOn) -> Iterator[Row]:
    """More and more keys."""
    with start(3) as cluster:
        rounds = rounds_on(cluster)
        for count in KEY_COUNTS:
            yield {"keys": count} | costs(rounds, cluster, Workload("set", CLIENTS, keys=count))


def values(start: Start, rounds_on: CompareOn) -> Iterator[Row]:
    """Larger and larger values, of only a thousand keys, so that the largest fit on the disk, too."""
    with start(3) as cluster:
        rounds = rounds_on(cluster)
        for value_bytes in VALUE_BYTES:
            row = costs(rounds, cluster, Workload("set", CLIENTS, value_bytes=value_bytes, keys=1_000))
            written = size(row["set_ops_per_second"] * value_bytes)
            yield {"value": size(value_bytes)} | row | {"set_bytes_per_second": written}


def age(start: Start, rounds_on: CompareOn) -> Iterator[Row]:
    """More and more earlier writes to the same keys. The measurements add to them."""
    with start(3) as cluster:
        rounds, written = rounds_on(cluster), 0
        cluster.fill(KEYS, 64)
        for writes in AGES:
            if writes > written:
                written += cluster.run(AGING, writes - written).latencies.requests
            yield {"writes_before": writes} | costs(rounds, cluster, Workload("set", CLIENTS))


def nodes(start: Start, rounds_on: CompareOn) -> Iterator[Row]:
    """More nodes, on the same processors."""
    for count in NODES:
        with start(count) as cluster:
            yield {"nodes": count} | costs(rounds_on(cluster), cluster, Workload("set", CLIENTS))


def clients(start: Start, rounds_on: CompareOn) -> Iterator[Row]:
    """More clients."""
    with start(3) as cluster:
        rounds = rounds_on(cluster)
        for count in CLIENT_COUNTS:
            yield {"clients": count} | costs(rounds, cluster, Workload("set", count))


AXES = {"keys": keys, "values": values, "age": age, "nodes": nodes, "clients": clients}
STEPS = {
    "keys": len(KEY_COUNTS),
    "values": len(VALUE_BYTES),
    "age": len(AGES),
    "nodes": len(NODES),
    "clients": len(CLIENT_COUNTS),
}


def costs(rounds: Rounds, cluster: OwnDkv, workload: Workload) -> Row:
    """The costs of GET and SET of ``workload``, and what a node holds in memory and on disk."""
    row: Row = {}
    for operation in ("get", "set"):
        sample = rounds.compare(replace(workload, operation=operation)).of("dkv")
        assert sample is not None, "dkv can do all of them"
        fields = sample.fields()
        row |= {f"{operation}_{name}": fields[name] for name in ("ops_per_second", "p99_ms", "cpu_us_per_op")}
    memory = max(map(processes.resident_bytes, cluster.pids()))
    return row | {"node_memory": size(memory), "node_disk": size(_disk_bytes(cluster.directory) / len(cluster.pids()))}


def _disk_bytes(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # LevelDB has just removed it
            continue
    return total
