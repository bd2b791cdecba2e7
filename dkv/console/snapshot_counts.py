"""The snapshots that a node sends and receives, counted from the notes of its actors: for metrics and status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dkv import noted
from dkv.actor import Takers


class SnapshotCounts:
    """What is under way, and what there was since the process began."""

    def __init__(self) -> None:
        self._receiving_from = 0  # 0: nothing is received
        self._received_bytes = 0  # of the transfer under way, or of the last one
        self._bytes = self._installed = self._passed = 0
        self._sending_to: list[int] = []
        self.takers: Takers = dict(
            (
                noted.snapshot_receiving.to(self._on_receiving),
                noted.snapshot_progress.to(self._on_progress),
                noted.snapshot_received.to(self._on_received),
                noted.snapshot_installed.to(self._on_installed),
                noted.batch_passed.to(self._on_batch_passed),
                noted.snapshot_sending.to(self._on_sending),
                noted.snapshot_sent.to(self._on_sent),
            )
        )

    def _on_receiving(self, *, peer: int, through: int) -> None:
        self._receiving_from, self._received_bytes = peer, 0

    def _on_progress(self, *, bytes: int) -> None:
        self._received_bytes += bytes
        self._bytes += bytes

    def _on_received(self, *, peer: int, bytes: int, reason: str) -> None:
        """A transfer has ended; one that was refused had not begun."""
        self._receiving_from = 0

    def _on_installed(self, *, through: int, passed: int) -> None:
        self._installed += 1

    def _on_batch_passed(self, *, commands: int) -> None:
        self._passed += commands

    def _on_sending(self, *, peer: int, through: int) -> None:
        self._sending_to.append(peer)

    def _on_sent(self, *, peer: int, bytes: int, reason: str) -> None:
        self._sending_to.remove(peer)

    def status(self) -> Mapping[str, object]:
        """The peer that a snapshot comes from, None if none does; its bytes so far; and the peers that get one."""
        return {
            "receiving_from": self._receiving_from or None,
            "received_bytes": self._received_bytes,
            "sending_to": sorted(self._sending_to),
        }

    def collect(self) -> Iterator[Metric]:
        """The metrics, as a collector of prometheus_client."""
        yield GaugeMetricFamily(
            "dkv_snapshot_receiving", "Whether a snapshot is being received", bool(self._receiving_from)
        )
        yield GaugeMetricFamily("dkv_snapshots_sending", "Snapshots that are being sent", len(self._sending_to))
        yield CounterMetricFamily("dkv_snapshot_received_bytes", "Bytes of snapshots that were received", self._bytes)
        yield CounterMetricFamily("dkv_snapshots_installed", "Snapshots that were put in force", self._installed)
        help = "Commands that arrived here, and whose results a snapshot passed"
        yield CounterMetricFamily("dkv_snapshot_passed_commands", help, self._passed)
