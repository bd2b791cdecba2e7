"""The checks of the state, counted from the notes of the checker: for metrics and status."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

from dkv import noted
from dkv.actor import Takers


class StateChecks:
    """The last check in which a peer's state was compared with this node's; ``now`` is in monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._slot = 0  # 0: none so far
        self._compared_at = 0.0
        self._agrees: set[int] = set()
        self._differing: list[int] = []
        self.takers: Takers = dict(
            (
                noted.state_compared.to(self._on_compared),
                noted.state_differs.to(self._on_differing),
                noted.state_agrees.to(self._on_differing),
            )
        )

    def _on_compared(self, *, slot: int, pairs: int, peer: int, same: bool) -> None:
        """A peer that is slow may be compared after a later check began: that one counts."""
        if slot > self._slot:
            self._slot, self._agrees = slot, set()
        if slot == self._slot:
            self._compared_at = self._now()
            if same:
                self._agrees.add(peer)

    def _on_differing(self, *, differing: list[int], **_: object) -> None:
        self._differing = differing

    def status(self) -> Mapping[str, object]:
        """The slot of the last check, its age, and the peers that agreed in it; and all that differ. None: no check."""
        return {
            "slot": self._slot or None,
            "age_seconds": round(self._now() - self._compared_at, 1) if self._slot else None,
            "agrees_with": sorted(self._agrees),
            "differs_from": self._differing,
        }

    def collect(self) -> Iterator[Metric]:
        """The metrics, as a collector of prometheus_client."""
        help = "The slot after which the state was last compared with that of a peer; 0 for none"
        yield GaugeMetricFamily("dkv_state_check_index", help, self._slot)
        help = "Seconds since the state was last compared with that of a peer"
        age = GaugeMetricFamily("dkv_state_check_age_seconds", help)
        if self._slot:
            age.add_metric([], self._now() - self._compared_at)
        yield age
        yield GaugeMetricFamily("dkv_state_check_agrees", "Peers that agreed in that comparison", len(self._agrees))
        yield GaugeMetricFamily("dkv_state_differs", "Peers with another state than this node", len(self._differing))
