"""A warning that clients cause by the thousand is a line a second."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.throttled_log import LOG_SECONDS, ThrottledLog
from tests.net.client_port import Log


class ThrottledLogTests(SynchronousTestCase):
    def test_one_kind_does_not_hide_another(self) -> None:
        """A storm of refused connections does not keep the operator from reading who sends garbage."""
        clock, log = Clock(), Log()
        throttled = ThrottledLog(clock, log)
        for _ in range(10):
            throttled.warning("connections_refused")
        throttled.warning("input_refused", peer="192.0.2.1")
        clock.advance(LOG_SECONDS)
        throttled.warning("connections_refused")
        told = [(event, fields["count"]) for event, fields in log.lines]
        self.assertEqual(told, [("connections_refused", 1), ("input_refused", 1), ("connections_refused", 10)])
