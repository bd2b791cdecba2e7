"""``python -m tests.sim.compare BEFORE``: does this tree behave as the one at BEFORE, event for event?

BEFORE is the root of another checkout, such as ``git worktree add /tmp/before main`` makes. Each seed runs in both
trees, in each mode, and the two traces are compared by their hashes. A refactoring changes names, not events. If a word
of the trace itself has changed, ``--rename OLD=NEW`` is applied to both.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("leader:3", "leader:5", "classic:3", "classic:5", "mixed:3", "leader:1", "leader:2", "leader:4")
SECONDS = 20.0


class Job(NamedTuple):
    """One seed in one tree; ``kind`` is a mode and how many nodes, such as ``leader:3``."""

    tree: Path
    kind: str
    seed: int
    renames: tuple[tuple[str, str], ...]


class Digest:
    """A text file of which only the hash and the number of lines are kept."""

    def __init__(self, renames: tuple[tuple[str, str], ...]) -> None:
        self._renames = renames
        self._hash = hashlib.sha256()
        self.lines = 0

    def write(self, line: str) -> None:
        """Take in one line of a trace."""
        for old, new in self._renames:
            line = line.replace(old, new)
        self._hash.update(line.encode())
        self.lines += 1

    def text(self) -> str:
        """The hash."""
        return self._hash.hexdigest()


def trace(job: Job) -> tuple[str, int]:
    """The hash of a run's trace, and its number of events. A process runs one tree: the first that it imports."""
    sys.path.insert(0, str(job.tree))
    from dkv.sim.plan import FAULTS
    from dkv.sim.run import run

    assert Path(sys.modules["dkv"].__file__ or "").is_relative_to(job.tree), f"dkv is not imported from {job.tree}"
    mode, nodes = job.kind.split(":")
    digest = Digest(job.renames)
    run(job.seed, int(nodes), SECONDS, frozenset(FAULTS), digest, mode)  # type: ignore[arg-type]  # all that it needs
    return digest.text(), digest.lines


def main() -> int:
    """Status 1 if a trace differs."""
    options = _options()
    first, last = map(int, options.seeds.split(".."))
    renames = tuple((old, new) for old, _, new in (each.rpartition("=") for each in options.rename))
    runs = [(kind, seed) for kind in options.kinds for seed in range(first, last + 1)]
    differing = events = 0
    context, workers = get_context("spawn"), max(1, (os.cpu_count() or 1) // 2)
    with context.Pool(workers) as before, context.Pool(workers) as after:
        pairs = zip(
            runs,
            before.imap(trace, [Job(options.before.resolve(), *each, renames) for each in runs]),
            after.imap(trace, [Job(ROOT, *each, renames) for each in runs]),
            strict=True,
        )
        for (kind, seed), old, new in pairs:
            events += new[1]
            if old != new:
                differing += 1
                print(f"{kind} seed {seed}: {old[1]} events before, {new[1]} now, and they differ", flush=True)
    print(f"{len(runs)} runs, {events} events: {differing or 'none'} differ")
    return 1 if differing else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.compare", description=__doc__)
    parser.add_argument("before", type=Path, metavar="BEFORE", help="the root of the other tree")
    parser.add_argument("--seeds", default="1..100", metavar="A..B", help="which seeds [1..100]")
    parser.add_argument("--kinds", nargs="+", default=KINDS, help=f"modes and nodes [{' '.join(KINDS)}]")
    parser.add_argument("--rename", action="append", default=[], metavar="OLD=NEW", help="replace in both traces")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
