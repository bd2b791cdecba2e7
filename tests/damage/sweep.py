"""A sweep: strike copies of one directory in many places, one at a time, and count what came of it."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.damage.filled import FilledCluster
from tests.damage.strikes import Strike, exchanges, flips, losses
from tests.damage.verdict import WRONG, Judge, Verdict

FAST = Path("/dev/shm")
"""Memory, where there is one: each strike copies a directory and makes a few synced writes."""


@dataclass
class Figures:
    """How many strikes on what had which outcome; ``wrong`` has what must not be."""

    outcomes: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrong: list[tuple[str, str]] = field(default_factory=list)

    def add(self, strike: Strike, verdict: Verdict) -> None:
        """Count one."""
        self.outcomes[strike.kind][verdict.kind] += 1
        if verdict.kind == WRONG:
            self.wrong.append((strike.name, verdict.text))

    def lines(self) -> Iterator[str]:
        """A line for each kind of file, and one for each finding."""
        for kind, outcomes in sorted(self.outcomes.items()):
            yield f"{kind}: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        for name, text in self.wrong:
            yield f"{WRONG}: {name}: {text}"


def all_strikes(filled: FilledCluster, every: int, random: Random) -> Iterator[Strike]:
    """The flips at each ``every``-th byte, and all losses and exchanges."""
    others = {f"node {each.number}": filled.kept / each.directory.name for each in filled.cluster.nodes}
    others = {whose: path for whose, path in others.items() if path != filled.intact}
    others |= {f"life {number}": path for number, path in enumerate(filled.older[:-1], 1)}
    yield from exchanges(filled.intact, others)
    yield from losses(filled.intact)
    yield from flips(filled.intact, every, random)


def sweep(filled: FilledCluster, strikes: Iterable[Strike]) -> Figures:
    """Strike the directory with each of ``strikes`` alone, without processes."""
    figures = Figures()
    with TemporaryDirectory(prefix="dkv-damage-", dir=FAST if FAST.is_dir() else None) as scratch:
        judge, victim = Judge(filled.kept, Path(scratch)), Path(scratch) / "victim"
        for strike in strikes:
            shutil.copytree(filled.intact, victim)
            strike.do(victim)
            figures.add(strike, judge.judge(victim))
            shutil.rmtree(victim)
    return figures
