"""What a siege is judged by: each rule finds what breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import MIB
from tests.siege.beginnings import HELLO_SECONDS, PEER
from tests.siege.besieged import Assault, Outcome
from tests.siege.flood import Seen
from tests.siege.served import Service

SERVICE = Service(1_000, 0.001, 0.01, 0.1, 0.01, ())
GOOD = Outcome(
    ((Assault(cast(Any, None), "h", 1, PEER, "no Hello", 100, 10), Seen(closed=100, longest_seconds=HELLO_SECONDS)),),
    SERVICE, MIB, MIB, 0,
)  # fmt: skip


class JudgementTest(SynchronousTestCase):
    def test_rules(self) -> None:
        """A siege that nobody could fail would say nothing."""
        self.assertEqual(list(GOOD.broken()), [])
        ((assault, seen),) = GOOD.assaults

        def stranger(**what: Any) -> Outcome:
            return replace(GOOD, assaults=((assault, replace(seen, **what)),))

        for outcome, words in (
            (stranger(left=1), "were never closed"),
            (stranger(longest_seconds=HELLO_SECONDS + 5), "closed after 7.5 s, not within 5"),
            (replace(GOOD, service=replace(SERVICE, failures=("TimeoutError",))), "a user failed: TimeoutError"),
            (replace(GOOD, service=replace(SERVICE, longest=4.5)), "users waited"),
            (replace(GOOD, service=replace(SERVICE, p99=1.5)), "users waited"),
            (replace(GOOD, held_more=200 * MIB), "memory grew by 200 MiB for 10 strangers at once"),
            (replace(GOOD, held_for_good=200 * MIB), "memory grew by 200 MiB for good"),
            (replace(GOOD, descriptors_more=10), "10 descriptors were left open"),
        ):
            (line,) = outcome.broken()
            self.assertIn(words, line)
