"""``python -m benchmarks``: other systems are started, measured and ended as dkv is."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.etcd import Etcd
from benchmarks.local import free_ports, start_process
from benchmarks.redis_server import RedisServer
from dkv.cli.benchmarks.benchmark import Benchmark, BenchOptions, OtherSystem
from dkv.cli.benchmarks.drivers import BUILT_IN
from dkv.cli.benchmarks.parts import Grid
from dkv.cli.benchmarks.rounds import Rounds
from dkv.cli.benchmarks.systems import Cluster, Spreadable, System
from dkv.cli.benchmarks.workload import ALL_NODES, Workload
from dkv.cli.output import Failure
from dkv.client.blocking import Endpoint
from dkv.settings import LEADER
from tests.benchmarks import fake_redis_server
from tests.integration.processes import child_environment

COMMAND = (sys.executable, "-m", "benchmarks")


class CommandTests(SynchronousTestCase):
    """A developer finds what ``dkv bench`` has, and the other systems besides."""

    def run_command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, *words], env=child_environment(), capture_output=True, text=True, timeout=60)

    def test_help(self) -> None:
        """The parts and options are those of ``dkv bench``, and there is ``--against``."""
        done = self.run_command("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for expected in ("Usage: python -m benchmarks", "--against [redis|etcd]", "--markdown", "failover"):
            self.assertIn(expected, done.stdout)

    def test_usage(self) -> None:
        """A mistake is one line that names this command, also as JSON, and not a traceback."""
        done = self.run_command("--against", "mongodb", "--output", "json")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1))
        self.assertIn("'mongodb' is not one of 'redis', 'etcd'. (see python -m benchmarks --help)", done.stderr)
        self.assertEqual(json.loads(done.stdout)["error"], "USAGE")


class ProcessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def install_redis_server(self) -> None:
        """Put a program of this name first in PATH."""
        program = self.directory / "redis-server"
        command = shlex.join(["exec", sys.executable, fake_redis_server.__file__])
        program.write_text(f'#!/bin/sh\n{command} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        environment = {"PATH": f"{self.directory}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(sys.path)}
        self.patch(os, "environ", os.environ | environment)

    def test_redis_server(self) -> None:
        """Figures of redis-server are those of a process that was started for them and is gone afterwards."""
        self.install_redis_server()
        with ExitStack() as life:
            server = RedisServer(self.directory, BUILT_IN, life)
            workload = Workload("get", 2, keys=10)
            compared = Rounds([server], 1, 0.05).compare(workload)
            sample = compared.of("redis")
            assert sample is not None
            self.assertGreater(sample.operations_per_second, 0)
            self.assertIsNone(sample.fsyncs)
            self.assertGreater(server.usage().cpu_seconds or 0, 0)
            self.assertNotIsInstance(server, Cluster)
            self.assertFalse(server.can(Workload("get", 2, to=ALL_NODES)))
            (pid,) = server.pids()
        self.assertRaises(ProcessLookupError, os.kill, pid, 0)

    def test_what_is_not_installed(self) -> None:
        """The message says what to install."""
        with ExitStack() as life, self.assertRaisesRegex(Failure, "no-such-program is not installed: .*install it"):
            start_process(["no-such-program"], self.directory / "log", life)

    def test_free_ports(self) -> None:
        """Two nodes that are given one port would not both start."""
        self.assertEqual(len(set(free_ports(6))), 6)

    def test_others_are_started_once(self) -> None:
        """A second part measures the systems that the first one started."""
        self.install_redis_server()
        started: list[Path] = []

        def start(directory: Path, generator: str, life: ExitStack) -> System:
            started.append(directory)
            return RedisServer(directory, generator, life)

        other = OtherSystem("redis", ("redis-server", "--version", "v="), start)
        nobody = (Endpoint("127.0.0.1", free_ports(1)[0]),)
        options = BenchOptions((other,), nobody, 3, LEADER, 1, 0.1, BUILT_IN, Grid(), True)
        with ExitStack() as life:
            benchmark = Benchmark(options, self.directory, life)
            for part in ("throughput", "targets"):
                with self.assertRaisesRegex(Failure, "a node is not reachable"):
                    benchmark.measure(part)
        self.assertEqual([directory.parent for directory in started], [self.directory])

    def test_etcd_takes_part_in_failovers(self) -> None:
        """Its leader is killed as that of dkv is, and for the targets its clients are spread as well."""
        etcd = Etcd.__new__(Etcd)  # its constructor would start it
        self.assertIsInstance(etcd, Cluster)
        self.assertIsInstance(etcd, Spreadable)
