"""Wrong passwords slow down their address: a guesser gets nowhere, and nobody else waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.security.login_attempts import ADDRESSES_MAX, FREE_ATTEMPTS, WAIT_SECONDS_MAX, LoginAttempts, network_of

PEER = "192.0.2.1:4000"


class AttemptsTests(SynchronousTestCase):
    """One table."""

    def setUp(self) -> None:
        self.attempts = LoginAttempts()

    def guess(self, peer: str, now: float, times: int) -> None:
        """So many wrong passwords come at once."""
        for _ in range(times):
            self.attempts.begun(peer, now)

    def test_free_ones(self) -> None:
        """A person who mistypes waits for nothing."""
        self.guess(PEER, 0.0, FREE_ATTEMPTS - 1)
        self.assertEqual(self.attempts.wait_seconds(PEER, 0.0), 0.0)
        self.assertEqual(self.attempts.wait_seconds(PEER, 0.0), 0.0)

    def test_a_line(self) -> None:
        """Beyond, attempts stand in line; a line that is too long is refused, and others do not notice."""
        self.guess(PEER, 0.0, FREE_ATTEMPTS + 2)
        waits = [self.attempts.wait_seconds(f"192.0.2.1:{port}", 0.0) for port in range(10)]
        known = [wait for wait in waits if wait is not None]
        self.assertEqual(known, sorted(known))
        self.assertLessEqual(known[-1], WAIT_SECONDS_MAX)
        self.assertIsNone(waits[-1])
        self.assertEqual(self.attempts.wait_seconds("192.0.2.2:4000", 0.0), 0.0)

    def test_forgotten(self) -> None:
        """After two minutes an address is as any other, and right passwords take back what they counted."""
        self.guess(PEER, 0.0, 1000)
        self.assertEqual(self.attempts.wait_seconds(PEER, 120.0), 0.0)
        other = "192.0.2.9:1"
        for now in range(100):
            self.attempts.begun(other, float(now))
            self.attempts.take_back(other, float(now))
        self.assertEqual(self.attempts.wait_seconds(other, 100.0), 0.0)
        self.assertEqual(len(self.attempts), 1)

    def test_bounded(self) -> None:
        """However many addresses try, the table does not grow."""
        for number in range(ADDRESSES_MAX + 10):
            self.attempts.begun(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:1", 0.0)
        self.assertEqual(len(self.attempts), ADDRESSES_MAX)

    def test_networks(self) -> None:
        """Who has one IPv6 address has its /64; IPv4 written as IPv6 is IPv4."""
        self.assertEqual(network_of("[2001:db8::1]:5"), network_of("[2001:db8::ffff:1]:6"))
        self.assertNotEqual(network_of("[2001:db8::1]:5"), network_of("[2001:db8:0:1::1]:5"))
        self.assertEqual(network_of("[::ffff:192.0.2.1]:5"), network_of("192.0.2.1:77"))
        self.assertEqual(network_of("UNIXAddress('/run/x')"), network_of("UNIXAddress('/run/x')"))

    @given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=60))
    def test_a_guesser_is_slow(self, tries: list[tuple[float, bool]]) -> None:
        """Whenever somebody guesses, there are few guesses in a minute."""
        attempts, now, begun = LoginAttempts(), 0.0, []
        for pause, counts in tries:
            now += pause if counts else 0.0
            wait = attempts.wait_seconds(PEER, now)
            if wait is not None:
                attempts.begun(PEER, now)
                begun.append(now + wait)
        for start in begun:
            within = sum(start <= each < start + 60.0 for each in begun)
            self.assertLessEqual(within, 40)
