"""A warning that comes again and again is logged once, and the memory of it stays small."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.once_log import ALL_LINES_MAX, COMPLAINTS_MAX, LINES_MAX, MINUTE_SECONDS, OnceLog
from tests.net.client_port import Log


class OnceLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.log = Log()
        self.clock = Clock()
        self.once = OnceLog(self.clock, self.log)

    def warn(self, address: str, what: str) -> None:
        self.once.warn((address, 2, what), "peer_silent", address=address)

    def test_once(self) -> None:
        """A peer that is refused once a second for a day takes one line of the log."""
        for _ in range(3):
            self.warn("192.0.2.1", "silent")
            self.warn("192.0.2.1", "refused")
            self.warn("192.0.2.2", "silent")
        self.assertEqual([fields["address"][-1] for _, fields in self.log.lines], ["1", "1", "2"])

    def test_forgotten(self) -> None:
        """What breaks again after it was well is news, at that address and no other."""
        self.warn("192.0.2.1", "silent")
        self.warn("192.0.2.2", "silent")
        self.once.forget("192.0.2.1")
        self.warn("192.0.2.1", "silent")
        self.warn("192.0.2.2", "silent")
        self.assertEqual([fields["address"][-1] for _, fields in self.log.lines], ["1", "2", "1"])

    def test_bounded(self) -> None:
        """Strangers that make up reasons do not fill the memory."""
        for number in range(3 * COMPLAINTS_MAX):
            self.warn("192.0.2.1", str(number))
            self.clock.advance(MINUTE_SECONDS / LINES_MAX)
        self.assertEqual(len(self.log.lines), 3 * COMPLAINTS_MAX)
        self.assertLessEqual(len(self.once._logged), COMPLAINTS_MAX)

    def test_not_too_many(self) -> None:
        """Strangers that make up reasons do not fill the disk, and what is said of others is read all the same."""
        for number in range(10_000):
            self.warn("192.0.2.1", str(number))
        self.warn("192.0.2.2", "silent")
        self.assertEqual(len(self.log.lines), LINES_MAX + 1)
        self.clock.advance(MINUTE_SECONDS)
        self.warn("192.0.2.1", "9999")
        events = [(event, fields.get("count")) for event, fields in self.log.lines[LINES_MAX + 1 :]]
        self.assertEqual(events, [("complaints_withheld", 10_000 - LINES_MAX), ("peer_silent", None)])

    def test_not_too_many_of_many_addresses(self) -> None:
        """Nor do strangers with a network full of addresses."""
        for number in range(10_000):
            self.warn(f"2001:db8::{number:x}", "silent")
        self.assertEqual(len(self.log.lines), ALL_LINES_MAX)
        self.assertLessEqual(len(self.once._lines), ALL_LINES_MAX)
