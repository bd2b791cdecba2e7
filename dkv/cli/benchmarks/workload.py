"""A workload for a system, and its results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

OPERATIONS = ("set", "get", "mixed")
LEADER_NODE = "leader"
ALL_NODES = "all"
KEYS = 10_000
VALUE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Workload:
    """``clients`` connections, each with ``pipeline`` requests under way, for random keys out of ``keys``.

    ``operation`` is "set", "get" or "mixed", which is half of each. ``to`` says whether all clients connect to the
    leader, or to all nodes evenly; a system of one node has no choice.
    """

    operation: str
    clients: int
    pipeline: int = 1
    value_bytes: int = VALUE_BYTES
    keys: int = KEYS
    to: str = LEADER_NODE

    @property
    def name(self) -> str:
        """The name for people: ``SET, 50 clients, pipelined 16, 1 KiB, all nodes``; usual values are left out."""
        parts = [self.operation.upper(), "1 client" if self.clients == 1 else f"{self.clients} clients"]
        if self.pipeline > 1:
            parts.append(f"pipelined {self.pipeline}")
        if self.value_bytes != VALUE_BYTES:
            parts.append(size(self.value_bytes))
        if self.to == ALL_NODES:
            parts.append("all nodes")
        return ", ".join(parts)


class Latencies:
    """The latencies of one run or several, from (seconds, number of requests that took no longer)."""

    def __init__(self, steps: Iterable[tuple[float, int]]) -> None:
        self._counts: list[tuple[float, int]] = []
        before = 0
        for seconds, through in sorted(set(steps)):
            if through > before:
                self._counts.append((seconds, through - before))
                before = through

    @classmethod
    def together(cls, several: Sequence[Latencies]) -> Latencies:
        """The latencies of runs that were made side by side."""
        merged = cls(())
        merged._counts = sorted(count for each in several for count in each._counts)
        return merged

    @property
    def requests(self) -> int:
        """The number of requests."""
        return sum(count for _, count in self._counts)

    def quantile(self, share: float) -> float:
        """The time, in seconds, within which this share of the requests was answered."""
        wanted = share * self.requests
        for seconds, count in self._counts:
            wanted -= count
            if wanted <= 0:
                return seconds
        return self._counts[-1][0]


@dataclass(frozen=True, slots=True)
class Usage:
    """The resources that a system has used since it started; None if unknown."""

    cpu_seconds: float | None
    written_bytes: int | None
    fsyncs: int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a workload, or the medians of several: latencies in seconds, the rest per operation."""

    operations_per_second: float
    p50: float
    p99: float
    p999: float
    cpu_seconds: float | None
    written_bytes: float | None
    fsyncs: float | None
    generator: str

    def fields(self) -> dict[str, float | str | None]:
        """The fields for JSON, with times in milliseconds and microseconds as the names say."""
        cpu = self.cpu_seconds
        return {
            "ops_per_second": round(self.operations_per_second, 1),
            "p50_ms": round(self.p50 * 1e3, 3),
            "p99_ms": round(self.p99 * 1e3, 3),
            "p999_ms": round(self.p999 * 1e3, 3),
            "cpu_us_per_op": None if cpu is None else round(cpu * 1e6, 2),
            "written_bytes_per_op": None if self.written_bytes is None else round(self.written_bytes, 1),
            "fsyncs_per_op": None if self.fsyncs is None else round(self.fsyncs, 4),
            "generator": self.generator,
        }


def medians(samples: Sequence[Sample]) -> Sample:
    """The median of each figure, taken by itself."""

    def of_known(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return median(known) if len(known) == len(values) else None

    return Sample(
        median(each.operations_per_second for each in samples),
        median(each.p50 for each in samples),
        median(each.p99 for each in samples),
        median(each.p999 for each in samples),
        of_known([each.cpu_seconds for each in samples]),
        of_known([each.written_bytes for each in samples]),
        of_known([each.fsyncs for each in samples]),
        samples[0].generator,
    )


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} GiB"
