"""A warning that comes again and again is logged once, and the memory of it stays small."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.net.once_log import COMPLAINTS_MAX, OnceLog
from tests.net.client_port import Log


class OnceLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.log = Log()
        self.once = OnceLog(self.log)

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
        self.assertEqual(len(self.log.lines), 3 * COMPLAINTS_MAX)
        self.assertLessEqual(len(self.once._logged), COMPLAINTS_MAX)
