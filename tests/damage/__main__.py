"""``python -m tests.damage``: fill a cluster, damage the files of one node in many places, and say what came of it."""

from __future__ import annotations

import argparse
import time
from random import Random

from tests.damage.filled import FilledCluster
from tests.damage.sweep import Figures, all_strikes, sweep
from tests.damage.trial import Trial


def main() -> int:
    """Status 1 if anything was neither detected nor harmless."""
    options = _options()
    random, began = Random(options.seed), time.monotonic()
    filled = FilledCluster()
    try:
        strikes = list(all_strikes(filled, options.every, random))
        figures = sweep(filled, strikes)
        _print(f"{len(strikes)} strikes without processes", figures, began)
        trial, tried, began = Trial(filled), Figures(), time.monotonic()
        for strike in random.sample(strikes, min(options.trials, len(strikes))):
            tried.add(strike, trial.run(strike))
        _print(f"{options.trials} strikes in a cluster of processes", tried, began)
    finally:
        filled.close()
    return 1 if figures.wrong or tried.wrong else 0


def _print(title: str, figures: Figures, began: float) -> None:
    print(f"{title}, in {time.monotonic() - began:.0f} s", *figures.lines(), sep="\n", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.damage", description=__doc__)
    parser.add_argument("--every", type=int, default=50, metavar="N", help="a bit of each Nth byte is flipped [50]")
    parser.add_argument("--trials", type=int, default=100, help="how many strikes are tried with real processes [100]")
    parser.add_argument("--seed", default="1", help="which bits, and which trials [1]")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
