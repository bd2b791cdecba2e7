"""The replicated time and the clocks of the machines, as the leader last compared them: for metrics and status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

from dkv import noted
from dkv.actor import Takers
from dkv.console.metric_families import gauge, labelled


class ClusterClocks:
    """What the proposer of this node knows while it leads; nothing otherwise."""

    def __init__(self) -> None:
        self._time_ms: int | None = None
        self._offsets: Mapping[int, float] = {}
        self.takers: Takers = dict((noted.clocks_compared.to(self._on_compared),))

    def _on_compared(self, *, time_ms: int, offsets: dict[int, float]) -> None:
        self._time_ms = time_ms
        self._offsets = {**self._offsets, **offsets}

    def forget(self) -> None:
        """This node leads no more."""
        self._time_ms, self._offsets = None, {}

    def status(self) -> Mapping[str, object]:
        """The time, and how far each clock is ahead of it, this node's too. None and nothing unless this node leads."""
        return {
            "replicated_time_ms": self._time_ms,
            "clock_offset_ms": {str(node): round(seconds * 1000) for node, seconds in sorted(self._offsets.items())},
        }

    def collect(self) -> Iterator[Metric]:
        """The metrics, as a collector of prometheus_client."""
        if self._time_ms is not None:
            yield gauge("dkv_replicated_time_seconds", "The replicated time, since 1970", self._time_ms / 1000)
        help = "How far the clock of a node's machine is ahead of the replicated time"
        yield labelled(GaugeMetricFamily("dkv_time_offset_seconds", help, labels=["peer"]), self._offsets)
