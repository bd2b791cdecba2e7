"""The drivers of a system that speaks Redis's protocol: redis-benchmark, or the generator in dkv."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dkv.cli.benchmarks.generator import PASSWORD
from dkv.cli.benchmarks.workload import Latencies, Workload
from dkv.cli.output import Failure, Status
from dkv.client.admission import Tls
from dkv.client.blocking import Endpoint

REDIS_BENCHMARK = "redis-benchmark"
BUILT_IN = "built-in"
GENERATORS = (REDIS_BENCHMARK, BUILT_IN)
DEADLINE_SECONDS = 300.0
"""A run that takes longer hangs: its load is chosen to take seconds."""

_THROUGHPUT = re.compile(r"throughput summary: ([0-9.]+) requests per second")
_STEP = re.compile(r"% <= ([0-9.]+) milliseconds \(cumulative count (\d+)\)")
_REFUSED = re.compile(r"(Error from server.*|Could not connect.*|Error: .*)")


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The result of a generator. The longest gap between two answers is in seconds; only a patient one has failures."""

    operations_per_second: float
    latencies: Latencies
    generator: str
    longest_gap: float = 0.0
    failures: int = 0


def default_generator() -> str:
    """redis-benchmark if it is installed."""
    return REDIS_BENCHMARK if shutil.which(REDIS_BENCHMARK) else BUILT_IN


def ask(endpoints: Sequence[Endpoint], workload: Workload, requests: int, generator: str) -> LoadResult:
    """Send ``requests`` requests in Redis's protocol. redis-benchmark cannot mix operations, and shows the password to
    all users of the machine, so dkv's own takes its place there."""
    secret = endpoints[0].access.password is not None  # redis-benchmark takes it from its command line alone
    if generator == BUILT_IN or secret or workload.operation not in ("set", "get"):
        return by_generator(
            endpoints,
            operation=workload.operation,
            clients=workload.clients,
            pipeline=workload.pipeline,
            value_bytes=workload.value_bytes,
            keys=workload.keys,
            requests=requests,
        )
    used = endpoints[: workload.clients]
    shares = [(workload.clients + number) // len(used) for number in range(len(used))]
    commands = [
        _redis_benchmark(endpoint, workload, clients, requests * clients // workload.clients)
        for endpoint, clients in zip(used, shares, strict=True)
    ]
    return _together([_read_redis_benchmark(text) for text in outputs(commands)])


def by_generator(endpoints: Sequence[Endpoint], **orders: Any) -> LoadResult:
    """Let dkv's own generator send requests, as its ``Orders`` describe."""
    access = endpoints[0].access
    where: dict[str, Any] = {"endpoints": [(endpoint.host, endpoint.port) for endpoint in endpoints]}
    if access.tls is not None:
        where["tls"] = (access.tls.ca, access.tls.certificate, access.tls.key)
    if access.user is not None:
        where["user"] = os.fsdecode(access.user)
    command = [sys.executable, "-P", "-m", "dkv.cli.benchmarks.generator", json.dumps(where | orders)]
    variables = {name: value for name, value in os.environb.items() if name != os.fsencode(PASSWORD)}
    if access.password is not None:
        variables[os.fsencode(PASSWORD)] = access.password
    (text,) = outputs([command], variables)
    return read_json(text, BUILT_IN)


# --- processes ---


def _redis_benchmark(endpoint: Endpoint, workload: Workload, clients: int, requests: int) -> list[str]:
    numbers = {
        "-p": endpoint.port,
        "-c": clients,
        "-n": max(requests, clients),
        "-P": workload.pipeline,
        "-d": workload.value_bytes,
        "-r": workload.keys,
    }
    words = [word for flag, number in numbers.items() for word in (flag, str(number))]
    return [REDIS_BENCHMARK, "-h", endpoint.host, *words, *_tls(endpoint.access.tls), "-t", workload.operation]


def _tls(tls: Tls | None) -> list[str]:
    if tls is None:
        return []
    files = {"--cacert": tls.ca, "--cert": tls.certificate, "--key": tls.key or tls.certificate}
    return ["--tls", *(word for option, file in files.items() if file is not None for word in (option, file))]


def outputs(commands: Sequence[Sequence[str]], variables: Mapping[bytes, bytes] | None = None) -> list[str]:
    """Run several processes side by side, and return the output of each. ``variables`` are their environment."""
    with _started(commands, variables) as processes:
        texts = []
        for command, process in zip(commands, processes, strict=True):
            try:
                out, err = process.communicate(timeout=DEADLINE_SECONDS)
            except subprocess.TimeoutExpired:
                raise failed(command[0], f"it did not end within {DEADLINE_SECONDS:g} s") from None
            refused = _REFUSED.search(out + err)
            if process.returncode or refused:
                raise failed(command[0], refused[0] if refused else err)
            texts.append(out)
    return texts


@contextmanager
def _started(
    commands: Sequence[Sequence[str]], variables: Mapping[bytes, bytes] | None
) -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    try:
        for command in commands:
            processes.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables)
            )
        yield processes
    except OSError as error:
        raise failed(commands[0][0], str(error)) from None
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def failed(program: str, why: str) -> Failure:
    """The failure of a generator, with the last line that it printed."""
    last = (why.strip().splitlines() or ["it said nothing"])[-1]
    return Failure(Status.FAILED, "GENERATOR", f"{Path(program).name} failed: {last}")


# --- what they print ---


def _read_redis_benchmark(text: str) -> LoadResult:
    throughput = _THROUGHPUT.search(text)
    if throughput is None:
        raise failed(REDIS_BENCHMARK, f"it printed {text.strip()[-200:]!r}")
    latencies = Latencies((float(ms) / 1e3, int(count)) for ms, count in _STEP.findall(text))
    return LoadResult(float(throughput[1]), latencies, REDIS_BENCHMARK)


def read_json(text: str, generator: str) -> LoadResult:
    """What a generator of ours saw, from the JSON object that it prints."""
    seen = json.loads(text)
    latencies = Latencies((seconds, int(count)) for seconds, count in seen["steps"])
    rate = seen["requests"] / seen["seconds"]
    return LoadResult(rate, latencies, generator, seen["longest_gap_seconds"], seen["failures"])


def _together(runs: Sequence[LoadResult]) -> LoadResult:
    latencies = Latencies.together([run.latencies for run in runs])
    return LoadResult(sum(run.operations_per_second for run in runs), latencies, runs[0].generator)
