"""``python -m tests.mutants``: draw mutants, judge them, and name those that nobody noticed."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from random import Random
from tempfile import TemporaryDirectory

from tests.mutants.court import Court, Verdict
from tests.mutants.harmless import Survivor, read_harmless, render
from tests.mutants.mutations import Mutant, check_examples, sample
from tests.mutants.rooms import ROOMS, Room, sources_of

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Status 1 if a mutant survived that docs/mutants.md does not list."""
    options = _options()
    check_examples()
    rooms = {path.relative_to(ROOT): room for room in ROOMS for path in sources_of(room, ROOT)}
    paths = [path for path in rooms if options.only in path.as_posix()]
    mutants = sample(paths, ROOT, options.sample, Random(options.seed))
    harmless = read_harmless(ROOT / "docs" / "mutants.md")
    with TemporaryDirectory(prefix="mutants-") as work:
        courts = [Court(ROOT, Path(work) / str(number), options.seeds) for number in range(options.workers)]
        for room in ROOMS:
            courts[0].check(room)
        verdicts = _judge_all(courts, mutants, rooms)
    survivors = {(each.path.as_posix(), each.change) for each, verdict in verdicts if verdict is Verdict.SURVIVED}
    _report(Counter(verdict for _, verdict in verdicts), survivors, harmless)
    return 1 if survivors - harmless else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=300, help="how many mutants [300]")
    parser.add_argument("--seed", default="1", help="which ones are drawn [1]")
    parser.add_argument("--seeds", type=int, default=100, help="simulated clusters for each survivor [100]")
    parser.add_argument("--workers", type=int, default=2, help="how many are judged at a time [2]")
    parser.add_argument("--only", default="", help="files whose path has this in it")
    return parser.parse_args()


def _judge_all(courts: list[Court], mutants: list[Mutant], rooms: dict[Path, Room]) -> list[tuple[Mutant, Verdict]]:
    free: SimpleQueue[Court] = SimpleQueue()
    for court in courts:
        free.put(court)

    def judge(mutant: Mutant) -> tuple[Mutant, Verdict]:
        court = free.get()
        try:
            verdict = court.judge(mutant, rooms[mutant.path])
        finally:
            free.put(court)
        print(f"{verdict.value:>10}  {mutant.path}  {'  '.join(mutant.change)}", flush=True)
        return mutant, verdict

    with ThreadPoolExecutor(len(courts)) as pool:
        return list(pool.map(judge, mutants))


def _report(counts: Counter[Verdict], survivors: set[Survivor], harmless: set[Survivor]) -> None:
    for survivor in sorted(survivors - harmless):
        print(f"\n{render(survivor)}")
    known, total = len(survivors & harmless), sum(counts.values())
    noticed = f"{counts[Verdict.UNIT]} noticed by the unit tests, {counts[Verdict.SIMULATOR]} by the simulator"
    print(f"{total} mutants: {noticed}; {known} harmless, {len(survivors) - known} survived")


if __name__ == "__main__":
    sys.exit(main())
