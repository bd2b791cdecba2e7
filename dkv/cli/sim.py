"""``dkv sim``: run whole clusters under simulated faults, and replay a failure from its seed."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from multiprocessing import get_context
from pathlib import Path
from random import SystemRandom
from typing import Any

import click

from dkv.cli.output import Failure, Status, complain, one_line, say
from dkv.cli.types import DAY_SECONDS, MOST, Number, PathName, Seconds, Whole, shown
from dkv.settings import LEADER, MODES
from dkv.sim.modes import MIXED
from dkv.sim.picture.picture import picture
from dkv.sim.plan import AT_CHANGES, BY_NAME, FAULTS, OF_OPERATORS, RIVALS, SUBSCRIBERS
from dkv.sim.run import Outcome, run

LAST_EVENTS = 25
"""How many events before a failure are printed; the trace has all of them."""
SECONDS = 20.0
SEED_MAX = 10**9
JOBS_MAX = 1_024
_RANGE = re.compile(r"([0-9]{1,18})\.\.([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class SimOptions:
    """The options that are the same for every seed of a command."""

    nodes: int
    seconds: float
    faults: frozenset[str]
    mode: str


def _seed_range(_: click.Context, __: click.Parameter, value: str | None) -> range | None:
    """The seeds of ``A..B``, both included."""
    if value is None:
        return None
    match = _RANGE.fullmatch(value)
    if match is None or int(match[1]) > int(match[2]):
        raise click.BadParameter(f"{shown(value)} is no range such as 1..300, of numbers below {MOST:g}")
    return range(int(match[1]), int(match[2]) + 1)


GROUPS = {"all": FAULTS, "none": (), "members": (*OF_OPERATORS, *RIVALS)}
"""Names that stand for several strikes."""


def _fault_set(_: click.Context, __: click.Parameter, value: str) -> frozenset[str]:
    """The faults in a list with commas, in which ``GROUPS`` may stand for some of them."""
    named = {name.strip() for name in value.split(",")}
    names = frozenset(name for each in named for name in GROUPS.get(each, (each,)))
    known = (*FAULTS, *OF_OPERATORS, *RIVALS, *BY_NAME, *AT_CHANGES, SUBSCRIBERS)
    unknown = sorted(names.difference(known))
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is no fault; they are {', '.join(GROUPS)}, or of {', '.join(known)}")
    return names


@click.command(
    short_help="Run simulated clusters under faults.",
    epilog=f"""\b
Faults:
  {", ".join(FAULTS[:8])},
  {", ".join(FAULTS[8:15])},
  {", ".join(FAULTS[15:])}

\b
Exit status:
  0    every invariant held, for every seed
  1    one was broken, for one seed at least
  2    usage
  130  interrupted""",
)
@click.option("--seed", type=Whole(0), help="Run this seed.")
@click.option("--seeds", metavar="A..B", callback=_seed_range, help="Run all of these seeds.")
@click.option("--for", "real_seconds", type=Seconds(30 * DAY_SECONDS), help="Run fresh seeds so long, in s.")
@click.option("--nodes", type=click.Choice(tuple("1234567")), default="3", show_default=True, help="A cluster's nodes.")
@click.option(
    "--mode",
    type=click.Choice((*MODES, MIXED)),
    default=LEADER,
    show_default=True,
    help="The cluster's way to agree; in mixed, nodes that restart change it now and then.",
)
@click.option(
    "--time",
    "seconds",
    type=Seconds(),
    default=SECONDS,
    show_default=True,
    help="How long faults strike, in simulated seconds.",
)
@click.option(
    "--faults", metavar="LIST", callback=_fault_set, default="all", show_default=True, help="What may strike."
)
@click.option("--jobs", type=Whole(most=JOBS_MAX), help="Seeds that run at once.  [default: one for each processor]")
@click.option("--trace", type=PathName(dir_okay=False, writable=True), help="Write every event of --seed here.")
@click.option("--svg", type=PathName(dir_okay=False, writable=True), help="Draw --seed here: what came last.")
@click.option("--slot", type=Whole(), help="Draw what concerns this slot.")
@click.option("--last", type=Whole(most=1_000_000), default=400, show_default=True, help="Draw so many events.")
@click.option("--around", type=Number(0, DAY_SECONDS), help="Draw those around this time, in simulated seconds.")
def sim(
    seed: int | None,
    seeds: range | None,
    real_seconds: float | None,
    nodes: str,
    mode: str,
    seconds: float,
    faults: frozenset[str],
    jobs: int | None,
    trace: Path | None,
    svg: Path | None,
    slot: int | None,
    last: int,
    around: float | None,
) -> int:
    """Run whole clusters of production code on simulated clocks, networks and disks, under faults.

    Each seed decides everything: the faults, their times, the limits, what clients do. While faults strike, every
    invariant is checked after every event, and the clients' history must be linearizable. Then a majority is healed,
    which must finish all requests and agree. The same seed does the same, event for event, on any machine.
    """
    if sum(choice is not None for choice in (seed, seeds, real_seconds)) != 1:
        raise click.UsageError("give one of --seed, --seeds and --for")
    if seed is None and (trace or svg):
        raise click.UsageError("--trace and --svg need --seed")
    options = SimOptions(int(nodes), seconds, faults, mode)
    if seed is not None:
        return _one(seed, options, trace, partial(_draw, svg, options.nodes, slot, last, around) if svg else None)
    jobs = jobs or os.cpu_count() or 1
    if seeds is not None:
        return _many([seeds], len(seeds), options, jobs)
    assert real_seconds is not None
    first = SystemRandom().randrange(SEED_MAX)
    say(f"fresh seeds from {first} on, for {real_seconds:g} s")
    return _many(_until(time.monotonic() + real_seconds, first, 4 * jobs), None, options, jobs)


# --- one seed ---


def _one(seed: int, options: SimOptions, trace: Path | None, draw: Callable[[Outcome], None] | None) -> int:
    began = time.monotonic()
    try:
        with ExitStack() as stack:  # closed inside the try: a full disk may show only then
            out = None if trace is None else stack.enter_context(open(trace, "w", encoding="utf-8"))
            outcome = run(seed, options.nodes, options.seconds, options.faults, out, options.mode)
            if draw is not None:
                draw(outcome)
    except OSError as error:
        what = error.filename or "the trace or the picture"
        raise Failure(Status.OUTPUT, "OUTPUT", f"cannot write {what}: {error.strerror}") from None
    say(_line(outcome, time.monotonic() - began))
    if outcome.violation is None:
        return Status.DONE
    _report(outcome, options)
    return Status.FAILED


def _draw(path: Path, nodes: int, slot: int | None, last: int, around: float | None, outcome: Outcome) -> None:
    with open(path, "w", encoding="utf-8") as out:
        out.write(picture(outcome.events, nodes, slot=slot, last=last, around=around))


def _line(outcome: Outcome, real_seconds: float) -> str:
    """One seed in one line."""
    verdict = "ok" if outcome.violation is None else f"FAILED: {one_line(outcome.violation)}"
    return (
        f"seed {outcome.seed}: {outcome.simulated_seconds:.0f} s simulated in {real_seconds:.1f} s,"
        f" {outcome.requests} requests, {outcome.unknown} of unknown outcome, {outcome.slots} slots,"
        f" {outcome.elections} elections: {verdict}"
    )


def _report(outcome: Outcome, options: SimOptions) -> None:
    """Report the events before a failure, and how to see it again."""
    say("")
    say(f"the last {LAST_EVENTS} events of seed {outcome.seed}:")
    for event in outcome.events[-LAST_EVENTS:]:
        say(one_line(event.line()))
    again = [f"dkv sim --seed {outcome.seed} --nodes {options.nodes} --time {options.seconds:g}"]
    if options.mode != LEADER:
        again.append(f"--mode {options.mode}")
    if options.faults != frozenset(FAULTS):
        again.append(f"--faults {','.join(sorted(options.faults)) or 'none'}")
    say("")
    say(f"broken: {outcome.violation}")
    say(f"again:  {' '.join(again)} --trace seed-{outcome.seed}.txt --svg seed-{outcome.seed}.svg")
    say("")


# --- many seeds ---


def _until(deadline: float, first: int, size: int) -> Iterator[range]:
    """Seeds from ``first`` on, ``size`` at a time, and at least once: no seeds at all would look like a success."""
    for seed in count(first, size):
        yield range(seed, seed + size)
        if time.monotonic() >= deadline:
            return


def _many(batches: Iterable[range], total: int | None, options: SimOptions, jobs: int) -> int:
    """Run all seeds, ``jobs`` at once. Each gets a line when it ends; reports of failures come at the end."""
    failed: list[Outcome] = []
    done = 0
    with _Bar(total) as bar, _pool(jobs) as pool:
        outcomes = (pool.imap_unordered(partial(_timed, options), seeds) for seeds in batches)
        for outcome, real_seconds in chain.from_iterable(outcomes):
            done += 1
            bar.clear()
            say(_line(outcome, real_seconds))
            if outcome.violation is not None:
                failed.append(outcome)
            bar.show(done, len(failed))
    for outcome in failed:
        _report(outcome, options)
    say(f"{done} seeds, {len(failed)} failed")
    if failed:
        complain(f"{len(failed)} of {done} seeds broke an invariant")
        return Status.FAILED
    return Status.DONE


def _timed(options: SimOptions, seed: int) -> tuple[Outcome, float]:
    began = time.monotonic()
    outcome = run(seed, options.nodes, options.seconds, options.faults, mode=options.mode)
    outcome.events[:-LAST_EVENTS] = []
    return outcome, time.monotonic() - began


@contextmanager
def _pool(jobs: int) -> Iterator[Any]:
    """Worker processes, which leave Ctrl-C to this one."""
    ignore = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    with get_context("spawn").Pool(jobs, initializer=ignore) as pool:
        yield pool


class _Bar:
    """A progress bar on stderr, if that is a terminal."""

    WIDTH = 30

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, done: int, failed: int) -> None:
        """Draw it."""
        if self._shown:
            full = self.WIDTH * done // self._total if self._total else done % (self.WIDTH + 1)
            of = f"/{self._total}" if self._total else ""
            click.echo(f"[{'#' * full}{'.' * (self.WIDTH - full)}] {done}{of}, {failed} failed", nl=False, err=True)

    def clear(self) -> None:
        """Make room for a line."""
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
