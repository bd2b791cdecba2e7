"""Limits and timings: a config that contradicts itself is refused, in words."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import OFF_AT_ZERO, Limits, SettingsError, Timings


class SettingsTests(SynchronousTestCase):
    def refused(self, what: type, *words: str, **settings: Any) -> None:
        """These settings are refused, by a text that names all ``words``."""
        error = self.assertRaises(SettingsError, what, **settings)
        for word in words:
            self.assertIn(word, str(error))

    def test_defaults(self) -> None:
        """They keep all rules."""
        self.assertEqual((Limits(), Timings()), (Limits(), Timings()))

    def test_positive(self) -> None:
        """A limit or time of nothing, or less, would stop a node for ever."""
        for what in (Limits, Timings):
            for field in fields(what):
                if field.name not in OFF_AT_ZERO:
                    self.refused(what, field.name, "greater than 0", **{field.name: 0})
                self.refused(what, field.name, "greater than 0", **{field.name: -1})

    def test_off(self) -> None:
        """0 switches off what an operator may not want, and says so to whoever tries something else."""
        self.assertEqual(Timings().idle_seconds_max, 0)
        self.refused(Timings, "idle_seconds_max = -1", "or 0 for none", idle_seconds_max=-1)
        for wrong in (float("nan"), float("inf")):
            self.refused(Timings, "idle_seconds_max", idle_seconds_max=wrong)

    def test_sizes_fit_into_each_other(self) -> None:
        """A request that fits no batch, or a slot that fits no frame, would be accepted and never agreed on."""
        for small, large in (
            ("key_bytes_max", "request_bytes_max"),
            ("value_bytes_max", "request_bytes_max"),
            ("inline_bytes_max", "request_bytes_max"),
            ("request_bytes_max", "batch_bytes_max"),
            ("batch_bytes_max", "slot_bytes_max"),
            ("slot_bytes_max", "frame_bytes_max"),
            ("catchup_bytes_max", "frame_bytes_max"),
            ("frame_bytes_max", "peer_queue_bytes_max"),
            ("window_bytes_max", "undurable_bytes_max"),
            ("connection_inflight_bytes_max", "node_inflight_bytes_max"),
            ("poll_lag_slots_max", "log_tail_slots_max"),
        ):
            self.refused(Limits, small, large, **{small: getattr(Limits(), large) + 1})

    def test_times_fit_into_each_other(self) -> None:
        """An election before the third heartbeat would depose healthy leaders."""
        for short, long in (
            ("heartbeat_seconds", "election_seconds_min"),
            ("election_seconds_min", "election_seconds_max"),
            ("election_seconds_max", "request_seconds"),
        ):
            self.refused(Timings, short, long, **{short: getattr(Timings(), long) + 0.1})
