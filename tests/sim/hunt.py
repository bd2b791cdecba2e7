"""Hunts for planted bugs: the simulator must find each within 300 seeds, in clusters of three and of five in turn.

A hunt begins at the seed that found the bug last, which ``docs/planted.md`` has. If that finds nothing any more, the
hunt goes through all seeds from 1 on. With ``DKV_PLANTED=write`` in the environment every hunt begins at seed 1 and
writes what it found into the page, once it has seen that the seed finds nothing where nothing is planted. With
``DKV_PLANTED=mend`` only those do so whose seed on the page finds nothing any more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import LEADER
from dkv.sim.plan import FAULTS
from dkv.sim.run import run

SEEDS = 300
SECONDS = 20.0
PAGE = Path(__file__).resolve().parents[2] / "docs" / "planted.md"
WRITE = os.environ.get("DKV_PLANTED") == "write"
MEND = os.environ.get("DKV_PLANTED") == "mend"
_ROW = re.compile(r"^\| `(\S+)` \| (\S+) \| (\d+) \| .* \|$", re.MULTILINE)

Plant = Callable[[], AbstractContextManager[None]]
"""The product has the bug while this is entered."""


def found_last(name: str, mode: str) -> int | None:
    """The seed that the page names for this bug, None for a bug that it does not name."""
    seeds = {(row[1], row[2]): int(row[3]) for row in _ROW.finditer(PAGE.read_text(encoding="utf-8"))}
    return seeds.get((name, mode))


def write_down(name: str, mode: str, seed: int, meaning: str) -> None:
    """Put the bug's row into the page, in place of an older one."""
    text = PAGE.read_text(encoding="utf-8")
    rows = {(row[1], row[2]): row[0] for row in _ROW.finditer(text)}
    rows[name, mode] = f"| `{name}` | {mode} | {seed} | {meaning} |"
    head = _ROW.sub("", text).rstrip("\n")
    PAGE.write_text("\n".join([head, *(rows[key] for key in sorted(rows, key=_place)), ""]), encoding="utf-8")


def _place(key: tuple[str, str]) -> tuple[str, int, str]:
    """Rows go by mode, then by number, B9 before B10."""
    name, mode = key
    number = re.match(r"[Bb](\d+)", name)
    return mode, int(number[1]) if number else 1000, name


def hunt(
    plant: Plant, seeds: Iterable[int], mode: str = LEADER, faults: Iterable[str] = FAULTS
) -> tuple[int, str] | None:
    """The first of ``seeds`` that finds the planted bug, and the sentence that says what is broken."""
    with plant():
        for seed in seeds:
            violation = run(seed, 3 if seed % 2 else 5, SECONDS, frozenset(faults), mode=mode).violation
            if violation is not None:
                return seed, violation
    return None


RESULTS, FOUND = "the results of batch", "which is true after no slot"
"""What is said of a write and of a read that was answered otherwise than the log says. Both are called I9, too: the
state that a node has in memory is wrong then, as far as one can see."""


class HuntTestCase(SynchronousTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    timeout = 600

    def check_found(
        self,
        name: str,
        plant: Plant,
        words: Collection[str],
        mode: str = LEADER,
        faults: Iterable[str] = FAULTS,
        within: int = SEEDS,
    ) -> None:
        """The bug is found within so many seeds, and the sentence has one of ``words``: it names what was promised."""
        seeds = range(1, within + 1)
        last = None if WRITE else found_last(name, mode)
        found = hunt(plant, [last], mode, faults) if last is not None and last in seeds else None
        found = found or hunt(plant, seeds, mode, faults)
        assert found is not None, f"{name} was not found in {within} seeds: the faults are too tame"
        seed, violation = found
        is_of_state = not {"I9", RESULTS, FOUND}.isdisjoint(words)
        told = {*words, "I13"} if is_of_state else words  # a node whose state is wrong tells other events, too
        self.assertTrue(any(word in violation for word in told), f"seed {seed}: {violation}")
        if WRITE or (MEND and seed != last):
            anyway = hunt(nullcontext, [seed], mode, faults)
            assert anyway is None, f"seed {seed} finds something where nothing is planted: {anyway}"
            write_down(name, mode, seed, " ".join((plant.__doc__ or "").split()))
