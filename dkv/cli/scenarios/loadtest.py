"""Concurrent clients on all nodes: how fast are they, do all nodes agree, and is the history linearizable?"""

from __future__ import annotations

import time

from dkv.cli.scenarios.load import Player, check_history
from dkv.cli.scenarios.stage import Stage
from dkv.client.survey import in_parallel

SHARES = (0.5, 0.99, 0.999)


def play(stage: Stage, clients: int, seconds: float, keys: int) -> None:
    """``clients`` clients on ``keys`` keys for ``seconds``."""
    report, numbers = stage.report, stage.numbers
    names = [stage.key(f"k{index}") for index in range(keys)]
    players = [Player(stage, numbers[index % len(numbers)], index + 1, names) for index in range(clients)]
    began = time.monotonic()
    for player in players:
        player.start()
    tick = min(0.1, seconds / 10)
    with report.progress("load", round(seconds / tick), seconds) as bar:
        while time.monotonic() - began < seconds:
            time.sleep(tick)  # the load runs by itself meanwhile
            bar.update(1)
    for player in players:
        player.stop()
    for player in players:
        player.join()
    elapsed = time.monotonic() - began
    latencies = sorted(latency for player in players for latency in player.latencies)
    errors = [error for player in players for error in player.errors]
    report.check("errors that clients saw", errors[:3], [])
    report.require("requests were answered", bool(latencies), str(len(latencies)))
    rate = len(latencies) / elapsed
    figures = {f"p{share * 100:g}_ms": round(1000 * _percentile(latencies, share), 2) for share in SHARES}
    spread = ", ".join(f"{name.removesuffix('_ms')} {value} ms" for name, value in figures.items())
    report.step(f"{clients} clients, {elapsed:.1f} s: {rate:.0f} requests/s; {spread}")
    _compare(stage, names)
    check_history(report, [operation for player in players for operation in player.history])
    report.figures |= {"requests": len(latencies), "requests_per_second": round(rate), **figures}


def _percentile(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)]


def _compare(stage: Stage, names: list[bytes]) -> None:
    """Read every key on all nodes."""

    def read(number: int) -> list[object]:
        with stage.connect(number) as connection:
            return [connection.call(b"GET", name) for name in names]

    readings = in_parallel([_job(read, number) for number in stage.numbers])
    unlike = [name.decode() for name, *values in zip(names, *readings, strict=True) if len(set(values)) != 1]
    stage.report.check(f"of {len(names)} keys, those that nodes disagree on", unlike[:5], [])


def _job(read, number: int):  # type: ignore[no-untyped-def]  # a job for in_parallel
    return lambda: read(number)
