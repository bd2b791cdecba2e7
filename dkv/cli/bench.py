"""``dkv bench``: how fast a cluster is, and how its costs grow."""

from __future__ import annotations

import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from dkv.cli.access import all_nodes
from dkv.cli.access_options import admits
from dkv.cli.benchmarks.benchmark import PARTS, TARGETS, THROUGHPUT, Benchmark, BenchOptions, OtherSystem
from dkv.cli.benchmarks.drivers import GENERATORS, default_generator
from dkv.cli.benchmarks.parts import Grid
from dkv.cli.benchmarks.plot import plot as drawing
from dkv.cli.benchmarks.results import facts, write_markdown
from dkv.cli.benchmarks.workload import ALL_NODES, LEADER_NODE, OPERATIONS
from dkv.cli.data import VALUE_BYTES_MAX
from dkv.cli.output import Failure, Status
from dkv.cli.own import interrupt
from dkv.cli.types import PathName, Seconds, Whole, shown
from dkv.client.url import Destination, without_secrets
from dkv.settings import LEADER, MODES

ON_ANY_CLUSTER = (THROUGHPUT, TARGETS)
CLIENTS_MAX = PIPELINE_MAX = 10_000
KEYS_MAX = 100_000_000
GRID = Grid()
"""The workloads unless options say otherwise."""

EPILOG = """\b
Parts:
  throughput  every combination of --operations, --clients, --pipelines, --value-bytes and --to (the default part)
  targets     the workloads for which dkv has targets: shares of what redis-server and etcd reach, where they run too
  failover    the longest time without an acknowledged write when the leader is killed, at 64 clients
  idle        the processor time of a cluster that nobody asks, and the memory of a node
  keys, values, age, nodes, clients
              how the cost of an operation grows with each of these
  upkeep      the cost while the log is compacted, and while a node that was away gets a snapshot and catches up

\b
Exit status:
  0    measured
  1    something did not start, or failed
  2    usage
  3    a node of --endpoints is not reachable
  130  interrupted"""

BESIDE_OTHERS = """To measure it beside redis-server and etcd, run "python -m benchmarks" in a clone of dkv's sources:
it has these parts and options, and --against."""


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


@click.command(short_help="Measure a cluster's speed.", epilog=f"{EPILOG}\n\n{BESIDE_OTHERS}")
@click.argument("wanted", metavar="[PART]...", nargs=-1, type=click.Choice(PARTS))
@click.option(
    "--endpoints",
    metavar="HOST:PORT,...",
    callback=all_nodes,
    help="All nodes of a running cluster, instead of one of its own. Its keys key:000000000000 and so on are "
    "overwritten.",
)
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
@admits
def bench(**given: Any) -> int:
    """Measure how fast a cluster is: one of its own, on this machine, or that of --endpoints.

    Its own cluster is started in a temporary directory, syncs every write to the disk, and is ended afterwards.
    """
    return measure((), **given)


def measure(
    others: Sequence[OtherSystem],
    *,
    wanted: tuple[str, ...],
    endpoints: Destination | None,
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
    """Measure dkv in turn with ``others``; the rest are the options of ``dkv bench``."""
    wanted = tuple(dict.fromkeys(wanted)) or (THROUGHPUT,)
    foreign = [part for part in wanted if part not in ON_ANY_CLUSTER]
    if endpoints is not None and foreign:
        raise click.UsageError(f"{foreign[0]} needs a cluster of its own: leave out --endpoints")
    grid = Grid(operations, clients, pipelines, value_bytes, to, keys)
    options = BenchOptions(
        tuple(others),
        None if endpoints is None else endpoints.endpoints,
        grid=grid,
        generator=generator or default_generator(),
        as_json=output == "json",
        **given,
    )
    with _directory(data_dir) as directory, ExitStack() as life:
        about = facts(directory, [other.version for other in others])
        benchmark = Benchmark(options, directory, life)
        results = {part: benchmark.measure(part) for part in wanted}
    if plot is not None:
        _write(plot, drawing(benchmark.compared))
    if markdown is not None:
        program = click.get_current_context().find_root().command_path
        write_markdown(markdown, shlex.join([*program.split(), *map(without_secrets, sys.argv[1:])]), about, results)
    return Status.DONE


@contextmanager
def _directory(parent: Path | None) -> Iterator[Path]:
    """A new directory, which is removed in the end, also after a SIGTERM."""
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="dkv-bench-", dir=parent, ignore_cleanup_errors=True) as directory:
            yield Path(directory)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(Status.FAILED, "PLOT", f"cannot write {path}: {error.strerror}") from None
