"""How long a call is tried, and how long it waits between two attempts."""

from __future__ import annotations

from redis.exceptions import ConnectionError, MaxConnectionsError, ResponseError, WatchError
from twisted.trial.unittest import SynchronousTestCase

from dkv.client.redis.attempts import PAUSE_SECONDS_MAX, QUICK_ATTEMPTS, CallPatience, TokenCall
from dkv.client.redis.endings import MaybeApplied
from dkv.client.redis.pending_ops import PendingOps
from dkv.client.redis.request_kinds import Kind


class PatienceTests(SynchronousTestCase):
    def test_pauses(self) -> None:
        """The other nodes are asked at once; where none serves, nobody asks them a thousand times a second."""
        now = 0.0
        patience = CallPatience(10.0, lambda: now)
        found = [patience.pause() for _ in range(40)]
        self.assertEqual(found[:QUICK_ATTEMPTS], [0.0] * QUICK_ATTEMPTS)
        later = [each for each in found[QUICK_ATTEMPTS:] if each is not None]
        self.assertEqual(len(later), 40 - QUICK_ATTEMPTS)
        self.assertTrue(all(0.01 < each <= PAUSE_SECONDS_MAX for each in later), later)
        self.assertGreater(min(later[-10:]), PAUSE_SECONDS_MAX / 3)
        now = 10.0
        self.assertEqual(patience.pause(), None)


class CallTests(SynchronousTestCase):
    def test_what_no_node_has_said_ends_only_a_call_that_was_not_sent(self) -> None:
        """A pool without a free connection does not tell what an earlier attempt did (B35)."""
        for error in (MaxConnectionsError("Too many connections"), WatchError("changed")):
            call = TokenCall(("INCR", "a"), Kind.WRITE, PendingOps())
            self.assertRaises(type(error), call.judge, error)
            call.judge(ConnectionError("lost"))
            call.judge(error)
            self.assertIsInstance(call.conclusion(error), MaybeApplied)
            self.assertRaises(ResponseError, call.judge, ResponseError("value is not an integer"))
