"""One benchmark, part after part: it starts the systems that a part needs, and prints the results."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dkv.cli.benchmarks import parts
from dkv.cli.benchmarks.axes import AXES, STEPS
from dkv.cli.benchmarks.parts import Grid, Row
from dkv.cli.benchmarks.results import VersionQuery, say_rows
from dkv.cli.benchmarks.rounds import Comparison, Rounds
from dkv.cli.benchmarks.systems import Cluster, Dkv, OwnDkv, Spreadable, System
from dkv.cli.benchmarks.upkeep import UPKEEP_STEPS, upkeep
from dkv.client.blocking import Endpoint

THROUGHPUT, TARGETS, FAILOVER, IDLE = "throughput", "targets", "failover", "idle"
ON_NEW_CLUSTERS = AXES | {"upkeep": upkeep}
PARTS = (THROUGHPUT, TARGETS, FAILOVER, IDLE, *ON_NEW_CLUSTERS)


@dataclass(frozen=True, slots=True)
class OtherSystem:
    """Another system to measure in turn with dkv.

    ``start(directory, generator, life)`` starts it with its data in ``directory`` and ends it with ``life``;
    ``version`` finds out its version, which belongs to the figures.
    """

    name: str
    version: VersionQuery
    start: Callable[[Path, str, ExitStack], System]


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """How to measure, and beside which ``others``."""

    others: tuple[OtherSystem, ...]
    endpoints: tuple[Endpoint, ...] | None
    nodes: int
    mode: str
    rounds: int
    seconds: float
    generator: str
    grid: Grid
    as_json: bool


class Benchmark:
    """Measures in ``directory``. All processes end with ``life``; ``compared`` holds the comparisons so far."""

    def __init__(self, options: BenchOptions, directory: Path, life: ExitStack) -> None:
        self.compared: list[Comparison] = []
        self._options = options
        self._directory = directory
        self._life = life
        self._systems: list[System] = []
        self._started = 0

    def measure(self, part: str) -> list[Row]:
        """Measure a part and print its rows."""
        systems = [] if part in ON_NEW_CLUSTERS else self._all_systems()
        if part == TARGETS:
            systems = [*systems, *(system.spread() for system in systems if isinstance(system, Spreadable))]
        rounds = Rounds(systems, self._options.rounds, self._options.seconds)
        with click.progressbar(
            length=self._steps(part, rounds),
            label=part,
            file=sys.stderr,
            item_show_func=lambda what: what or "",
            hidden=self._options.as_json or not sys.stderr.isatty(),
        ) as bar:

            def tick(what: str) -> None:
                bar.update(1, what)

            rounds.tick = tick
            rows = say_rows(part, self._rows(part, rounds, tick), self._options.as_json, lambda: _clear(bar))
        self.compared += rounds.compared
        return rows

    def _rows(self, part: str, rounds: Rounds, tick: Callable[[str], None]) -> Iterator[Row]:
        if part == THROUGHPUT:
            return parts.throughput(rounds, self._options.grid)
        if part == TARGETS:
            return parts.targets(rounds)
        if part == FAILOVER:
            return parts.failover(self._clusters(), parts.FAILOVERS, tick)
        if part == IDLE:
            (cluster,) = (system for system in self._systems if isinstance(system, OwnDkv))
            return parts.idle(cluster, tick)
        self._end_all()
        return ON_NEW_CLUSTERS[part](self._new_cluster, lambda cluster: self._rounds_on(cluster, tick))

    def _steps(self, part: str, rounds: Rounds) -> int:
        """How many times a part ticks."""
        if part == THROUGHPUT:
            return rounds.steps(self._options.grid.workloads())
        if part == TARGETS:
            return rounds.steps([workload for workload, _, _ in parts.TARGETS])
        if part == FAILOVER:
            return parts.FAILOVERS * len(self._clusters())
        return 1 if part == IDLE else STEPS.get(part, UPKEEP_STEPS) * 2 * (1 + self._options.rounds)

    def _rounds_on(self, cluster: OwnDkv, tick: Callable[[str], None]) -> Rounds:
        rounds = Rounds([cluster], self._options.rounds, self._options.seconds)
        rounds.tick = tick
        return rounds

    # --- systems ---

    def _all_systems(self) -> list[System]:
        """dkv and the others, started at the first call."""
        if not self._systems:
            options = self._options
            ours = (
                self._own(options.nodes, self._life)
                if options.endpoints is None
                else Dkv(options.endpoints, options.generator)
            )
            self._systems = [ours]
            for other in options.others:
                self._systems.append(other.start(self._subdirectory(other.name), options.generator, self._life))
        return self._systems

    def _clusters(self) -> Sequence[Cluster]:
        return [system for system in self._systems if isinstance(system, Cluster)]

    def _end_all(self) -> None:
        self._life.close()
        self._systems = []

    @contextmanager
    def _new_cluster(self, nodes: int) -> Iterator[OwnDkv]:
        with ExitStack() as life:
            cluster = self._own(nodes, life)
            yield cluster
        shutil.rmtree(cluster.directory)

    def _own(self, nodes: int, life: ExitStack) -> OwnDkv:
        return OwnDkv(self._subdirectory("dkv"), nodes, self._options.mode, self._options.generator, life)

    def _subdirectory(self, name: str) -> Path:
        self._started += 1
        directory = self._directory / f"{name}-{self._started}"
        directory.mkdir()
        return directory


def _clear(bar: Any) -> None:
    """Make room for a line in the place of the bar, which is drawn again behind it."""
    if not bar.hidden:
        click.echo("\r\033[K", file=sys.stderr, nl=False)
