"""The figures of a soak: memory and disk of each node over time, and whether they are flat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dkv.settings import MIB

SAMPLES_MIN = 30
"""Fewer samples say nothing about a trend."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The largest value of the last third is at most ``factor`` times that of the middle third, and ``slack`` more."""

    factor: float
    slack: int


MEMORY = Bound(1.2, 16 * MIB)
DISK = Bound(1.5, 24 * MIB)
"""LevelDB writes up to two buffers of 16 MiB in a database before it removes what they replace."""


@dataclass(slots=True)
class Series:
    """The values of one figure of one node, in bytes, taken at even times."""

    name: str
    bound: Bound
    values: list[int] = field(default_factory=list)

    def thirds(self) -> tuple[int, int, int]:
        """The largest value of each third."""
        third = len(self.values) // 3
        parts = self.values[:third], self.values[third : 2 * third], self.values[2 * third :]
        return (max(parts[0], default=0), max(parts[1], default=0), max(parts[2], default=0))

    def grows(self) -> str:
        """How it broke its bound, in one line; empty if it did not, or if there are too few values."""
        _, middle, last = self.thirds()
        most = self.bound.factor * middle + self.bound.slack
        if len(self.values) < SAMPLES_MIN or last <= most:
            return ""
        return f"{self.name} grew from {megabytes(middle)} in the middle third to {megabytes(last)} in the last"

    def __str__(self) -> str:
        return f"{self.name}: at most {', '.join(map(megabytes, self.thirds()))} in the thirds of the time"


class Figures:
    """Samples of every node. ``readings`` has for each figure of each node its name, its bound, and a look at it."""

    def __init__(self, readings: Sequence[tuple[str, Bound, Callable[[], int]]]) -> None:
        self.series = [Series(name, bound) for name, bound, _ in readings]
        self._looks = [look for _, _, look in readings]

    def sample(self) -> None:
        """Look at every figure once."""
        for series, look in zip(self.series, self._looks, strict=True):
            series.values.append(look())


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / MIB:.1f} MiB"
