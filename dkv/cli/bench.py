"""``dkv bench``: how fast a cluster is, by itself and beside others, and how its costs grow."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dkv.cli.benchmarks import parts
from dkv.cli.benchmarks.axes import AXES, STEPS
from dkv.cli.benchmarks.drivers import GENERATORS, default_generator
from dkv.cli.benchmarks.parts import Grid, Row
from dkv.cli.benchmarks.peers import Etcd, Redis
from dkv.cli.benchmarks.plot import plot as drawing
from dkv.cli.benchmarks.results import facts, say_rows, write_markdown
from dkv.cli.benchmarks.rounds import Comparison, Rounds
from dkv.cli.benchmarks.systems import Dkv, OwnDkv, System
from dkv.cli.benchmarks.workload import ALL_NODES, LEADER_NODE, OPERATIONS
from dkv.cli.data import VALUE_BYTES_MAX, endpoints_list
from dkv.cli.output import Failure, Status
from dkv.cli.own import interrupt
from dkv.cli.types import PathName, Seconds, Whole, shown
from dkv.client.blocking import Endpoint
from dkv.settings import LEADER, MODES

THROUGHPUT, TARGETS, FAILOVER, IDLE = "throughput", "targets", "failover", "idle"
PARTS = (THROUGHPUT, TARGETS, FAILOVER, IDLE, *AXES)
ON_ANY_CLUSTER = (THROUGHPUT, TARGETS)
PEERS = ("redis", "etcd")
CLIENTS_MAX = PIPELINE_MAX = 10_000
KEYS_MAX = 100_000_000
GRID = Grid()
"""What is measured unless options say otherwise."""

EPILOG = """\b
Parts:
  throughput  every combination of --operations, --clients, --pipelines, --value-bytes and --to (the default part)
  targets     what dkv means to reach, beside the systems of --against
  failover    the longest time without an acknowledged write when the leader is killed, at 64 clients
  idle        the processor time of a cluster that nobody asks, and the memory of a node
  keys, values, age, nodes, clients
              how the cost of an operation grows with each of these

\b
Exit status:
  0    measured
  1    something did not start, or failed
  2    usage
  3    a node of --endpoints is not reachable
  130  interrupted"""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """How to measure."""

    endpoints: tuple[Endpoint, ...] | None
    against: tuple[str, ...]
    nodes: int
    mode: str
    rounds: int
    seconds: float
    generator: str
    grid: Grid
    as_json: bool


def _wholes(most: int) -> Callable[[click.Context, click.Parameter, str], tuple[int, ...]]:
    """Reads whole numbers from 1 to ``most`` in a list separated by commas."""

    def read(context: click.Context, option: click.Parameter, text: str) -> tuple[int, ...]:
        return tuple(Whole(1, most).convert(each, option, context) for each in text.split(","))

    return read


def _words(allowed: Sequence[str]) -> Callable[[click.Context, click.Parameter, str], tuple[str, ...]]:
    def read(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
        words = tuple(text.split(","))
        if not set(words) <= set(allowed):
            raise click.BadParameter(f"{shown(text)} is no list of {', '.join(allowed)}")
        return words

    return read


def _list(numbers: Sequence[object]) -> str:
    return ",".join(map(str, numbers))


@click.command(short_help="Measure a cluster's speed, also beside others.", epilog=EPILOG)
@click.argument("wanted", metavar="[PART]...", nargs=-1, type=click.Choice(PARTS))
@click.option(
    "--endpoints",
    metavar="HOST:PORT,...",
    callback=lambda context, option, text: None if text is None else endpoints_list(context, option, text),
    help="All nodes of a running cluster, instead of one of its own. Its keys key:000000000000 and so on are "
    "overwritten.",
)
@click.option("--against", multiple=True, type=click.Choice(PEERS), help="Measure this in turn with dkv. Repeatable.")
@click.option("--nodes", type=click.Choice((3, 5, 7)), default=3, show_default=True, help="Nodes of its own cluster.")
@click.option("--mode", type=click.Choice(MODES), default=LEADER, show_default=True, help="How its nodes agree.")
@click.option("--operations", callback=_words(OPERATIONS), default=_list(GRID.operations), show_default=True)
@click.option(
    "--clients", callback=_wholes(CLIENTS_MAX), default=_list(GRID.clients), show_default=True, help="At the same time."
)
@click.option(
    "--pipelines",
    callback=_wholes(PIPELINE_MAX),
    default=_list(GRID.pipelines),
    show_default=True,
    help="Requests that a client has under way.",
)
@click.option("--value-bytes", callback=_wholes(VALUE_BYTES_MAX), default=_list(GRID.value_bytes), show_default=True)
@click.option(
    "--to",
    callback=_words((LEADER_NODE, ALL_NODES)),
    default=_list(GRID.to),
    show_default=True,
    help="Whom clients connect to.",
)
@click.option("--keys", type=Whole(most=KEYS_MAX), default=GRID.keys, show_default=True, help="How many there are.")
@click.option("--rounds", type=Whole(most=1_000), default=1, show_default=True, help="Medians are of so many runs.")
@click.option("--seconds", type=Seconds(3_600), default=1.0, show_default=True, help="Of a run, about.")
@click.option(
    "--generator",
    type=click.Choice(GENERATORS),
    help="What asks.  [default: redis-benchmark where it is installed; our own always for mixed operations]",
)
@click.option(
    "--data-dir",
    type=PathName(exists=True, file_okay=False, writable=True),
    help="Where its own systems keep what they are told, for as long as it runs.  [default: where temporary files go]",
)
@click.option("--plot", type=PathName(dir_okay=False, writable=True), help="Draw it here, as SVG.")
@click.option(
    "--markdown",
    type=PathName(dir_okay=False, writable=True),
    help="Write it to this file, below its line that says so if it has one.",
)
@click.option("--output", type=click.Choice(("text", "json")), default="text", show_default=True)
def bench(
    wanted: tuple[str, ...],
    endpoints: tuple[Endpoint, ...] | None,
    against: tuple[str, ...],
    operations: tuple[str, ...],
    clients: tuple[int, ...],
    pipelines: tuple[int, ...],
    value_bytes: tuple[int, ...],
    to: tuple[str, ...],
    keys: int,
    data_dir: Path | None,
    plot: Path | None,
    markdown: Path | None,
    output: str,
    generator: str | None,
    **given: Any,
) -> int:
    """Measure how fast a cluster is: one of its own, on this machine, or that of --endpoints.

    Each system is started in a temporary directory, syncs every write to the disk, and is ended afterwards. Runs of
    different systems take turns.
    """
    wanted = tuple(dict.fromkeys(wanted)) or (THROUGHPUT,)
    foreign = [part for part in wanted if part not in ON_ANY_CLUSTER]
    if endpoints is not None and foreign:
        raise click.UsageError(f"{foreign[0]} needs a cluster of its own: leave out --endpoints")
    grid = Grid(operations, clients, pipelines, value_bytes, to, keys)
    options = BenchOptions(
        endpoints, against, grid=grid, generator=generator or default_generator(), as_json=output == "json", **given
    )
    with _directory(data_dir) as directory, ExitStack() as life:
        about = facts(directory)
        session = Benchmark(options, directory, life)
        results = {part: session.measure(part) for part in wanted}
    if plot is not None:
        _write(plot, drawing(session.compared))
    if markdown is not None:
        write_markdown(markdown, shlex.join(["dkv", *sys.argv[1:]]), about, results)
    return Status.DONE


class Benchmark:
    """One run of the command: the systems that it has started, and the comparisons made so far."""

    def __init__(self, options: BenchOptions, directory: Path, life: ExitStack) -> None:
        self.compared: list[Comparison] = []
        self._options = options
        self._directory = directory
        self._life = life
        self._systems: list[System] = []
        self._started = 0

    def measure(self, part: str) -> list[Row]:
        """Measure a part, and say what comes out of it."""
        systems = [] if part in AXES else self._all_systems()
        if part == TARGETS:
            systems = [*systems, *(system.spread() for system in systems if isinstance(system, Etcd))]
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
            clusters = [system for system in self._systems if isinstance(system, OwnDkv | Etcd)]
            return parts.failover(clusters, parts.FAILOVERS, tick)
        if part == IDLE:
            (cluster,) = (system for system in self._systems if isinstance(system, OwnDkv))
            return parts.idle(cluster, tick)
        self._end_all()
        return AXES[part](self._new_cluster, lambda cluster: self._rounds_on(cluster, tick))

    def _steps(self, part: str, rounds: Rounds) -> int:
        """How often a part ticks."""
        if part == THROUGHPUT:
            return rounds.steps(self._options.grid.workloads())
        if part == TARGETS:
            return rounds.steps([workload for workload, _, _ in parts.TARGETS])
        if part == FAILOVER:
            return parts.FAILOVERS * sum(isinstance(system, OwnDkv | Etcd) for system in self._systems)
        return 1 if part == IDLE else STEPS[part] * 2 * (1 + self._options.rounds)

    def _rounds_on(self, cluster: OwnDkv, tick: Callable[[str], None]) -> Rounds:
        rounds = Rounds([cluster], self._options.rounds, self._options.seconds)
        rounds.tick = tick
        return rounds

    # --- systems ---

    def _all_systems(self) -> list[System]:
        """dkv and those it is measured against, started if they are not."""
        if not self._systems:
            options = self._options
            ours = (
                self._own(options.nodes, self._life)
                if options.endpoints is None
                else Dkv(options.endpoints, options.generator)
            )
            self._systems = [ours]
            for peer in dict.fromkeys(options.against):
                directory = self._subdirectory(peer)
                if peer == "redis":
                    self._systems.append(Redis(directory, options.generator, self._life))
                else:
                    self._systems.append(Etcd(directory, self._life))
        return self._systems

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


@contextmanager
def _directory(parent: Path | None) -> Iterator[Path]:
    """A directory that is removed in the end, also after a SIGTERM."""
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="dkv-bench-", dir=parent, ignore_cleanup_errors=True) as directory:
            yield Path(directory)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _clear(bar: Any) -> None:
    """Make room for a line where the bar is; it is drawn anew behind it."""
    if not bar.hidden:
        click.echo("\r\033[K", file=sys.stderr, nl=False)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(Status.FAILED, "PLOT", f"cannot write {path}: {error.strerror}") from None
