"""An operator sees a snapshot come, and what it came to."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.actor import Note
from dkv.console.snapshot_counts import SnapshotCounts


class SnapshotCountsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counts = SnapshotCounts()

    def note(self, event: Note[...], **fields: Any) -> None:
        """An actor notes something."""
        self.counts.takers[event](**fields)

    def samples(self) -> dict[str, float]:
        """The metrics by name."""
        return {sample.name: sample.value for metric in self.counts.collect() for sample in metric.samples}

    def test_received(self) -> None:
        """The bytes of the transfer under way in status; all of them in the metrics."""
        for through in (7, 9):
            self.note(noted.snapshot_receiving, peer=2, through=through)
            for size in (100, 50):
                self.note(noted.snapshot_progress, bytes=size)
            self.assertEqual(self.counts.status(), {"receiving_from": 2, "received_bytes": 150, "sending_to": []})
            self.assertEqual(self.samples()["dkv_snapshot_receiving"], 1)
            self.note(noted.snapshot_received, peer=2, bytes=150, reason="in force")
        self.note(noted.snapshot_installed, through=9, passed=5)
        self.note(noted.batch_passed, commands=7)
        self.assertIsNone(self.counts.status()["receiving_from"])
        self.assertEqual(
            self.samples(),
            {
                "dkv_snapshot_receiving": 0,
                "dkv_snapshots_sending": 0,
                "dkv_snapshot_received_bytes_total": 300,
                "dkv_snapshots_installed_total": 1,
                "dkv_snapshot_passed_commands_total": 7,
            },
        )

    def test_refused(self) -> None:
        """A donor that is busy ends a transfer which had not begun."""
        self.note(noted.snapshot_received, peer=2, bytes=0, reason="refused")
        self.assertEqual(self.samples()["dkv_snapshot_receiving"], 0)

    def test_sent(self) -> None:
        """To several peers at a time."""
        for peer in (3, 1):
            self.note(noted.snapshot_sending, peer=peer, through=7)
        self.assertEqual(self.counts.status()["sending_to"], [1, 3])
        self.assertEqual(self.samples()["dkv_snapshots_sending"], 2)
        self.note(noted.snapshot_sent, peer=3, bytes=5, reason="done")
        self.assertEqual(self.counts.status()["sending_to"], [1])
