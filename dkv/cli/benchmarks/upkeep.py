"""How much a cluster's own work slows its clients: compaction, and a snapshot for a node that was away."""

from __future__ import annotations

import time
from collections.abc import Iterator

from dkv.cli.benchmarks.axes import CompareOn, Start, costs
from dkv.cli.benchmarks.parts import Row
from dkv.cli.benchmarks.rounds import Rounds
from dkv.cli.benchmarks.systems import OwnDkv, wait
from dkv.cli.benchmarks.workload import Workload
from dkv.settings import Limits

CLIENTS = 64
STATE = Workload("set", 50, pipeline=16, value_bytes=100, keys=1_000_000)
"""Makes a state whose snapshot takes some seconds, at the byte rate of ``snapshot_bytes_per_second``."""

PAST_THE_TAIL = 2 * Limits().log_tail_bytes_max // STATE.value_bytes
"""The number of writes after which a log has given up its oldest."""

NEAR_SLOTS = 1_000
UPKEEP_STEPS = 3
ARRIVAL_SECONDS = 600.0


def upkeep(start: Start, rounds_on: CompareOn) -> Iterator[Row]:
    """GET and SET of 64 clients while there is nothing else to do, while the log is compacted, during a snapshot."""
    with start(3) as cluster:
        rounds = rounds_on(cluster)
        first = _costs(rounds, cluster)
        yield {"meanwhile": "nothing"} | first
        cluster.run(STATE, STATE.keys + PAST_THE_TAIL)
        yield {"meanwhile": "compaction"} | _costs(rounds, cluster, first)
        start_again = cluster.kill_follower()
        cluster.run(STATE, PAST_THE_TAIL)
        node, began = start_again(), time.monotonic()
        row = _costs(rounds, cluster, first)
        wait(lambda: cluster.lag(node) < NEAR_SLOTS, f"node {node} does not catch up", ARRIVAL_SECONDS)
        yield {"meanwhile": "a snapshot, and catching up"} | row | {"there_after_s": round(time.monotonic() - began, 1)}


def _costs(rounds: Rounds, cluster: OwnDkv, first: Row | None = None) -> Row:
    """The costs; and how many times the 99th percentiles are those of the ``first`` row."""
    row = costs(rounds, cluster, Workload("set", CLIENTS, value_bytes=100, keys=100_000))
    for operation in ("get", "set"):
        name = f"{operation}_p99_ms"
        row[f"{operation}_p99_times"] = 1.0 if first is None else round(row[name] / first[name], 2)
    return row | {"there_after_s": None}
