"""An operator sees which machine's clock is off, on the node that leads."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.console.cluster_clocks import ClusterClocks


class ClusterClocksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clocks = ClusterClocks()

    def compared(self, offsets: dict[int, float]) -> None:
        self.clocks.takers[noted.clocks_compared](time_ms=5_500, offsets=offsets)

    def samples(self) -> dict[tuple[str, str], float]:
        """The metrics by name and peer."""
        return {
            (sample.name, sample.labels.get("peer", "")): sample.value
            for metric in self.clocks.collect()
            for sample in metric.samples
        }

    def test_a_node_that_does_not_lead(self) -> None:
        """It knows nothing, and shows nothing that would be old."""
        self.assertEqual(self.clocks.status(), {"replicated_time_ms": None, "clock_offset_ms": {}})
        self.compared({1: 0.0})
        self.clocks.forget()
        self.assertEqual(self.clocks.status(), {"replicated_time_ms": None, "clock_offset_ms": {}})
        self.assertEqual(self.samples(), {})

    def test_a_leader(self) -> None:
        """One that is silent keeps its last offset: it is still wrong."""
        self.compared({1: 0.001, 3: -20.5})
        self.compared({1: 0.002, 2: 0.25})
        expected = {"replicated_time_ms": 5_500, "clock_offset_ms": {"1": 2, "2": 250, "3": -20_500}}
        self.assertEqual(self.clocks.status(), expected)
        self.assertEqual(
            self.samples(),
            {
                ("dkv_replicated_time_seconds", ""): 5.5,
                ("dkv_time_offset_seconds", "1"): 0.002,
                ("dkv_time_offset_seconds", "2"): 0.25,
                ("dkv_time_offset_seconds", "3"): -20.5,
            },
        )
