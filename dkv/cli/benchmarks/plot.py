"""Throughput and latency against the number of clients, drawn as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from dkv.cli.benchmarks.rounds import Comparison

WIDTH, HEIGHT = 460, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 48
LEGEND_LINE = 18
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#17becf", "#7f7f7f", "#bcbd22", "#e377c2")

Points = list[tuple[float, float]]


def plot(comparisons: Sequence[Comparison]) -> str:
    """The SVG: on the left operations per second, on the right the median latency (dashed: 99 %).

    There is a line for each operation of each system. Only workloads with one request at a time, 64 bytes, and the
    leader as the only node are drawn.
    """
    drawn = [each for each in comparisons if (each.workload.pipeline, each.workload.name.count(",")) == (1, 1)]
    rates: dict[str, Points] = {}
    halves: dict[str, Points] = {}
    most: dict[str, Points] = {}
    for comparison in sorted(drawn, key=lambda each: each.workload.clients):
        for system in comparison.samples:
            sample = comparison.of(system)
            assert sample is not None, "it has runs"
            name, clients = f"{system} {comparison.workload.operation.upper()}", comparison.workload.clients
            rates.setdefault(name, []).append((clients, sample.operations_per_second))
            halves.setdefault(name, []).append((clients, sample.p50 * 1e3))
            most.setdefault(name, []).append((clients, sample.p99 * 1e3))
    height = HEIGHT + LEGEND_LINE * ((len(rates) + 3) // 4)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{height}" '
        f'viewBox="0 0 {2 * WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{2 * WIDTH}" height="{height}" fill="white"/>',
        *_panel(0, "operations per second", [rates]),
        *_panel(WIDTH, "milliseconds, median and (dashed) 99 %", [halves, most]),
        *_legend(list(rates)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _panel(left: float, title: str, groups: Sequence[dict[str, Points]]) -> Iterator[str]:
    """One diagram, both axes logarithmic; the second group's lines are dashed."""
    points = [point for group in groups for line in group.values() for point in line]
    yield f'<text x="{left + WIDTH / 2}" y="22" text-anchor="middle" font-size="14">{escape(title)}</text>'
    if not points:
        return
    across = _Scale([x for x, _ in points], left + LEFT, left + WIDTH - RIGHT)
    up = _Scale([y for _, y in points], HEIGHT - BOTTOM, TOP)
    bottom, end = HEIGHT - BOTTOM, left + WIDTH - RIGHT
    for value in up.marks():
        y = up.place(value)
        yield f'<line x1="{left + LEFT}" y1="{y:.1f}" x2="{end}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{left + LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>'
    for x in sorted({x for x, _ in points}):
        yield f'<text x="{across.place(x):.1f}" y="{bottom + 18}" text-anchor="middle">{x:g}</text>'
    yield f'<text x="{left + WIDTH / 2}" y="{bottom + 36}" text-anchor="middle">clients</text>'
    yield f'<path d="M{left + LEFT},{TOP} V{bottom} H{end}" fill="none" stroke="black"/>'
    for dashed, group in enumerate(groups):
        for number, line in enumerate(group.values()):
            path = " ".join(f"{across.place(x):.1f},{up.place(y):.1f}" for x, y in line)
            dashes = ' stroke-dasharray="4 4"' if dashed else ""
            yield f'<polyline points="{path}" fill="none" stroke="{_colour(number)}" stroke-width="2"{dashes}/>'


def _legend(names: Sequence[str]) -> Iterator[str]:
    for number, name in enumerate(names):
        x, y = LEFT + number % 4 * 200, HEIGHT + LEGEND_LINE * (number // 4)
        yield f'<line x1="{x}" y1="{y - 4}" x2="{x + 24}" y2="{y - 4}" stroke="{_colour(number)}" stroke-width="2"/>'
        yield f'<text x="{x + 30}" y="{y}">{escape(name)}</text>'


class _Scale:
    """Maps values to coordinates from ``first`` to ``last``, by their logarithms, between powers of ten."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        self._low = math.floor(math.log10(min(values)))
        self._high = max(math.ceil(math.log10(max(values))), self._low + 1)
        self._first, self._last = first, last

    def place(self, value: float) -> float:
        """The coordinate of a value."""
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return self._first + share * (self._last - self._first)

    def marks(self) -> list[float]:
        """The powers of ten."""
        return [10.0**power for power in range(self._low, self._high + 1)]


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _short(value: float) -> str:
    return f"{value / 1000:g} k" if value >= 1000 else f"{value:g}"
