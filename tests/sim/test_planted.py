"""The simulator finds the bugs that other systems had, each planted into the product, within 300 seeds."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.sim.run import run
from tests.sim.planted import PLANTS

SEEDS = 300
SECONDS = 20.0


def seeds_needed(number: str) -> int | None:
    """How many seeds it takes, from 1 on, to find the planted bug; clusters of three and of five in turn."""
    with PLANTS[number]():
        for seed in range(1, SEEDS + 1):
            if run(seed, 3 if seed % 2 else 5, SECONDS).violation is not None:
                return seed
    return None
