"""Simulated clusters of a mutant: ``python -m tests.mutants.clusters SEEDS MODE``; status 1 if one goes wrong."""

from __future__ import annotations

import sys

from dkv.sim.run import run

SECONDS = 20.0


def main(seeds: int, mode: str) -> None:
    """Run clusters of three and of five nodes in turn, up to the first that breaks an invariant."""
    for seed in range(1, seeds + 1):
        violation = run(seed, 3 if seed % 2 else 5, SECONDS, mode=mode).violation
        if violation is not None:
            sys.exit(f"seed {seed}: {violation}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
