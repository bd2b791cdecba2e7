"""Figures are what they say: latencies, medians, ratios, the order of runs, what other programs print."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.benchmarks.drivers import REDIS_BENCHMARK, LoadResult, ask
from dkv.cli.benchmarks.parts import Grid, comparison_rows, targets
from dkv.cli.benchmarks.rounds import Rounds
from dkv.cli.benchmarks.workload import Latencies, Usage, Workload, size
from dkv.cli.output import Failure
from dkv.client.blocking import Endpoint

TIMES = st.lists(st.integers(1, 50), min_size=1, max_size=60)


def steps(times: list[int]) -> list[tuple[float, int]]:
    """(time, how many took no longer)."""
    return [(time, sum(each <= time for each in times)) for time in times]


class LatenciesTests(SynchronousTestCase):
    """A quantile that is wrong is a promise that is not kept."""

    @given(TIMES, st.sampled_from((0.01, 0.5, 0.9, 0.99, 1.0)))
    def test_quantiles(self, times: list[int], share: float) -> None:
        """The smallest time within which that share was answered."""
        found = Latencies(steps(times)).quantile(share)
        self.assertGreaterEqual(sum(time <= found for time in times), share * len(times) - 1e-9)
        self.assertLess(sum(time < found for time in times), share * len(times) + 1e-9)

    @given(TIMES, TIMES)
    def test_side_by_side(self, one: list[int], other: list[int]) -> None:
        """Runs on several nodes are one run."""
        together = Latencies.together([Latencies(steps(one)), Latencies(steps(other))])
        both = Latencies(steps(one + other))
        self.assertEqual(together.requests, len(one) + len(other))
        for share in (0.1, 0.5, 0.99):
            self.assertEqual(together.quantile(share), both.quantile(share))


class FakeSystem:
    """Answers at a rate of its own, and writes down what it is asked."""

    def __init__(self, name: str, rates: list[float], log: list[str]) -> None:
        self.name = name
        self.requests = 0
        self._rates = rates
        self._log = log

    def can(self, workload: Workload) -> bool:
        return workload.pipeline == 1 or self.name == "dkv"

    def fill(self, keys: int, value_bytes: int) -> None:
        self._log.append(f"{self.name} fill {keys} {value_bytes}")

    def run(self, workload: Workload, requests: int) -> LoadResult:
        self.requests += requests
        rate = self._rates[0] if len(self._rates) == 1 else self._rates.pop(0)
        self._log.append(f"{self.name} {workload.operation} {requests}")
        return LoadResult(rate, Latencies([(0.001, requests)]), "fake")

    def usage(self) -> Usage:
        return Usage(self.requests * 2e-5, None, self.requests * 3)


class RoundsTests(SynchronousTestCase):
    """Systems are compared under the same conditions."""

    def setUp(self) -> None:
        self.log: list[str] = []

    def rounds(self, ours: list[float], theirs: list[float]) -> Rounds:
        """Three rounds of a tenth of a second; the first two rates of each are those of the warm-up."""
        systems = [FakeSystem("dkv", ours, self.log), FakeSystem("redis", theirs, self.log)]
        return Rounds(systems, 3, 0.1)

    def test_in_turn(self) -> None:
        """A B A B A B: a machine that slows down slows both."""
        self.rounds([1000.0], [2000.0]).compare(Workload("get", 1))
        self.assertEqual(
            self.log,
            ["dkv fill 10000 64", "dkv get 40", "dkv get 300", "redis fill 10000 64", "redis get 40", "redis get 600"]
            + ["dkv get 100", "redis get 200"] * 3,
        )

    def test_medians_and_ratios(self) -> None:
        """The ratio is the median of what the rounds showed, not of one lucky run."""
        found = self.rounds([200.0, 200.0, 10.0, 100.0, 90.0], [200.0, 200.0, 20.0, 400.0, 100.0]).compare(
            Workload("set", 1)
        )
        ours, theirs = found.of("dkv"), found.of("redis")
        assert ours is not None
        assert theirs is not None
        self.assertEqual((ours.operations_per_second, theirs.operations_per_second), (90.0, 100.0))
        self.assertEqual((found.ratio("redis"), found.ratio("dkv"), found.ratio("etcd")), (0.5, None, None))
        self.assertAlmostEqual(ours.cpu_seconds or 0, 2e-5)
        self.assertEqual((ours.fsyncs, ours.written_bytes), (3, None))

    def test_who_cannot_is_left_out(self) -> None:
        """No figure is better than a wrong one."""
        rounds = self.rounds([100.0], [200.0])
        workload = Workload("set", 2, pipeline=16)
        self.assertEqual(rounds.steps([workload]), 4)
        (row,) = comparison_rows(rounds.compare(workload))
        self.assertEqual((row["system"], row["dkv_is_times"]), ("dkv", None))

    def test_keys_are_filled_anew_when_values_change(self) -> None:
        """Reads of yesterday's short values would be too fast."""
        rounds = self.rounds([1e6], [1e6])
        for operation, value_bytes in (("get", 64), ("get", 64), ("set", 100), ("get", 64), ("mixed", 100)):
            rounds.compare(Workload(operation, 1, value_bytes=value_bytes))
        fills = [line for line in self.log if line.startswith("dkv fill")]
        self.assertEqual(fills, ["dkv fill 10000 64", "dkv fill 10000 64", "dkv fill 10000 100"])

    def test_targets_say_what_is_missed(self) -> None:
        """A table that only shows what went well is an advertisement."""
        rows = list(targets(self.rounds([300.0], [1000.0])))
        self.assertEqual([row["redis_met"] for row in rows], [False, False, False, False, None, False, False])
        self.assertEqual((rows[0]["of_redis"], rows[0]["redis_target"], rows[0]["of_etcd"]), (0.3, 0.33, None))


class GridTests(SynchronousTestCase):
    def test_too_much_at_once_is_left_out(self) -> None:
        """Gigabytes under way measure nothing but queues."""
        grid = Grid(("set",), (1, 256), (1, 16), (64, 65_536), ("leader",))
        self.assertEqual(
            [(each.clients, each.pipeline, each.value_bytes) for each in grid.workloads()],
            [(1, 1, 64), (256, 1, 64), (1, 16, 64), (256, 16, 64), (1, 1, 65_536), (256, 1, 65_536), (1, 16, 65_536)],
        )

    def test_names(self) -> None:
        """Usual values are left out, and others are named."""
        self.assertEqual(Workload("set", 1).name, "SET, 1 client")
        self.assertEqual(
            Workload("get", 50, 16, 65_536, to="all").name, "GET, 50 clients, pipelined 16, 64 KiB, all nodes"
        )
        self.assertEqual(size(150 * 2**20), "150 MiB")


PRINTS = """
SET: rps=1.0 (overall: 1.0)\r====== SET ======
  20 requests completed in 0.01 seconds
Latency by percentile distribution:
0.000% <= 0.100 milliseconds (cumulative count 1)
50.000% <= 0.200 milliseconds (cumulative count 10)
99.902% <= 0.500 milliseconds (cumulative count 20)
100.000% <= 0.500 milliseconds (cumulative count 20)

Summary:
  throughput summary: 1500.50 requests per second
"""


class DriverTests(SynchronousTestCase):
    """redis-benchmark, as this project understands it: a program that prints the same stands in for it."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def install(self, script: str) -> None:
        program = self.directory / REDIS_BENCHMARK
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.patch(os, "environ", os.environ | {"PATH": f"{self.directory}:{os.environ['PATH']}"})

    def test_what_it_prints_is_read(self) -> None:
        """With the 99.9th percentile, which it gives nowhere else."""
        self.install(f"echo \"$@\" >>{self.directory}/asked; cat <<'END'\n{PRINTS}\nEND")
        endpoints = [Endpoint("127.0.0.1", port) for port in (5001, 5002, 5003)]
        run = ask(endpoints, Workload("set", 4), 1000, REDIS_BENCHMARK)
        self.assertEqual((run.operations_per_second, run.latencies.requests), (4501.5, 60))
        self.assertEqual([run.latencies.quantile(share) for share in (0.05, 0.5, 0.999)], [0.0001, 0.0002, 0.0005])
        asked = sorted((self.directory / "asked").read_text().splitlines())
        self.assertEqual(
            [line.partition(" -P")[0] for line in asked],
            [
                "-h 127.0.0.1 -p 5001 -c 1 -n 250",
                "-h 127.0.0.1 -p 5002 -c 1 -n 250",
                "-h 127.0.0.1 -p 5003 -c 2 -n 500",
            ],
        )

    def test_its_failures_are_one_line(self) -> None:
        """Somebody else's traceback helps nobody."""
        endpoint = [Endpoint("127.0.0.1", 5001)]
        for script in ("echo 'Error from server: TRYAGAIN no leader'", "echo Could not connect; exit 1", "echo hello"):
            self.install(script)
            with self.assertRaisesRegex(Failure, "^redis-benchmark failed: .*(TRYAGAIN|Could not|hello)"):
                ask(endpoint, Workload("set", 1), 10, REDIS_BENCHMARK)
