"""Families of metrics as prometheus_client wants them, from plain numbers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric


class Histogram:
    """Counts each value at the lowest of ``bounds``, in rising order, that is not below it."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count ``value``, ``times`` times."""
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += value * times

    def sample(self) -> tuple[list[tuple[str, float]], float]:
        """The cumulative buckets and the sum, as Prometheus wants them."""
        names = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        return list(zip(names, accumulate(self._counts), strict=True)), self._sum


def counter(name: str, help: str, value: float) -> Metric:
    """A counter without labels."""
    return CounterMetricFamily(name, help, value=value)


def gauge(name: str, help: str, value: float) -> Metric:
    """A gauge without labels."""
    return GaugeMetricFamily(name, help, value=value)


def labelled(family: Any, values: Mapping[Any, float]) -> Metric:
    """``family``, which has one label, with a sample for each of its ``values``."""
    for label, value in sorted(values.items()):
        family.add_metric([str(label)], value)
    return family  # type: ignore[no-any-return]  # whichever family was handed in


def histogram(
    name: str, help: str, histograms: Mapping[tuple[str, ...], Histogram], labels: Iterable[str] = ()
) -> Metric:
    """The histogram of each tuple of values of ``labels``."""
    family = HistogramMetricFamily(name, help, labels=tuple(labels))
    for values, histogram in histograms.items():
        buckets, total = histogram.sample()
        family.add_metric(values, buckets, total)
    return family
