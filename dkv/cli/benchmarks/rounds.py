"""Runs of workloads, of each system in turn, in several rounds: a disturbance of the machine affects all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from dkv.cli.benchmarks.systems import System
from dkv.cli.benchmarks.workload import Sample, Usage, Workload, medians

WARM_UP_SECONDS = 0.3
WARM_UP_REQUESTS = 40
"""Per client and place in its pipeline, in the run that finds out how fast a system is."""

WARM_UP_BYTES_MAX = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Comparison:
    """The runs of one workload, by system; the first is ours."""

    workload: Workload
    samples: dict[str, list[Sample]]

    def of(self, system: str) -> Sample | None:
        """The medians of a system; None if it cannot do the workload."""
        samples = self.samples.get(system)
        return medians(samples) if samples else None

    def ratio(self, system: str) -> float | None:
        """Our throughput divided by another system's: the median of the rounds' ratios."""
        ours, theirs = next(iter(self.samples.values())), self.samples.get(system)
        if not theirs or theirs is ours:
            return None
        pairs = zip(ours, theirs, strict=True)
        return median(one.operations_per_second / other.operations_per_second for one, other in pairs)


class Rounds:
    """Compares ``systems``, ours first: ``rounds`` runs of ``seconds`` each, after one to warm up.

    ``tick(what)`` is called before each.
    """

    def __init__(self, systems: Sequence[System], rounds: int, seconds: float) -> None:
        self.systems = list(systems)
        self.rounds = rounds
        self.compared: list[Comparison] = []
        self.tick: Callable[[str], None] = lambda _: None
        self._seconds = seconds
        self._holds: dict[str, tuple[int, int]] = {}

    def steps(self, workloads: Sequence[Workload]) -> int:
        """How many times ``tick`` will be called for these workloads."""
        return sum(1 + self.rounds for workload in workloads for system in self.systems if system.can(workload))

    def compare(self, workload: Workload) -> Comparison:
        """Run a workload on all systems that can do it."""
        able = [system for system in self.systems if system.can(workload)]
        requests = {}
        for system in able:
            self.tick(f"{system.name}: {workload.name}")
            self._prepare(system, workload)
            requests[system.name] = self._requests_for(system, workload)
        samples: dict[str, list[Sample]] = {system.name: [] for system in able}
        for _ in range(self.rounds):
            for system in able:
                self.tick(f"{system.name}: {workload.name}")
                samples[system.name].append(_measure(system, workload, requests[system.name]))
        self.compared.append(Comparison(workload, samples))
        return self.compared[-1]

    def _prepare(self, system: System, workload: Workload) -> None:
        """Make sure that the keys to read exist, with values of the right size."""
        wanted = (workload.keys, workload.value_bytes)
        if workload.operation != "set" and self._holds.get(system.name) != wanted:
            system.fill(*wanted)
            self._holds[system.name] = wanted
        elif self._holds.get(system.name) != wanted:
            self._holds.pop(system.name, None)

    def _requests_for(self, system: System, workload: Workload) -> int:
        """The number of requests that takes the time of a run."""
        under_way = workload.clients * workload.pipeline
        least = max(under_way, min(WARM_UP_REQUESTS * under_way, WARM_UP_BYTES_MAX // workload.value_bytes))
        rate = system.run(workload, least).operations_per_second
        if least / rate < WARM_UP_SECONDS:
            rate = system.run(workload, int(rate * WARM_UP_SECONDS)).operations_per_second
        return max(under_way, int(rate * self._seconds))


def _measure(system: System, workload: Workload, requests: int) -> Sample:
    before = system.usage()
    run = system.run(workload, requests)
    after = system.usage()
    done = run.latencies.requests

    def each(name: str) -> float | None:
        first, last = getattr(before, name), getattr(after, name)
        return None if first is None or last is None else (last - first) / done

    p50, p99, p999 = map(run.latencies.quantile, (0.5, 0.99, 0.999))
    used = {name: each(name) for name in Usage.__slots__}
    return Sample(run.operations_per_second, p50, p99, p999, **used, generator=run.generator)
