"""A warning that strangers cause by the thousand is a few lines a minute."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.throttled_log import ADDRESS_LINES_MAX, LINES_MAX, MINUTE_SECONDS, ThrottledLog
from tests.net.client_port import Log


class ThrottledLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.log = Clock(), Log()
        self.throttled = ThrottledLog(self.clock, self.log)

    @property
    def told(self) -> list[tuple[str, int]]:
        return [(event, fields["count"]) for event, fields in self.log.lines]

    def test_one_kind_does_not_hide_another(self) -> None:
        """A storm of refused connections does not keep the operator from reading who sends garbage."""
        for _ in range(10):
            self.throttled.warning("connections_refused", peer="192.0.2.1:1")
        self.throttled.warning("input_refused", peer="192.0.2.1:2")
        self.clock.advance(MINUTE_SECONDS)
        self.throttled.warning("connections_refused", peer="192.0.2.1:3")
        self.assertEqual(self.told, [("connections_refused", 1), ("input_refused", 1), ("connections_refused", 10)])

    def test_a_patient_stranger(self) -> None:
        """One who comes every second of a day writes a line a minute, not 86,400 lines."""
        for second in range(3_600):
            self.throttled.warning("tls_refused", peer=f"[2001:db8::1]:{second}", reason="no TLS")
            self.clock.advance(1.0)
        self.assertEqual(self.told, [("tls_refused", 1)] + [("tls_refused", 60)] * 59)

    def test_one_address_does_not_hide_another(self) -> None:
        """In the middle of a storm the operator reads why his own client is refused, and what is wrong after that."""
        for number in range(1_000):
            self.throttled.warning("tls_refused", peer="192.0.2.1:1", reason=f"made up: {number}")
        self.assertEqual(self.told, [("tls_refused", 1)] * ADDRESS_LINES_MAX)
        for reason in ("it has expired", "it has expired", "it is revoked"):
            self.throttled.warning("tls_refused", peer="192.0.2.2:1", reason=reason)
        left_out = 1_000 - ADDRESS_LINES_MAX + 1
        self.assertEqual(self.told[ADDRESS_LINES_MAX:], [("tls_refused", left_out), ("tls_refused", 2)])

    def test_many_addresses(self) -> None:
        """Somebody with a million addresses fills no disk and no memory either."""
        for number in range(10 * LINES_MAX):
            self.throttled.warning("input_refused", peer=f"[2001:db8::{number:x}]:1")
        self.assertEqual(len(self.log.lines), LINES_MAX)
        self.assertLessEqual(len(self.throttled._told), LINES_MAX)
