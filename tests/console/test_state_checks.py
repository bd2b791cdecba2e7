"""An operator sees when states were compared, and what came of it."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.actor import Note
from dkv.console.state_checks import StateChecks


class StateChecksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.checks = StateChecks(lambda: self.now)

    def note(self, event: Note[...], **fields: Any) -> None:
        """The checker notes something."""
        self.checks.takers[event](**fields)

    def compared(self, slot: int, peer: int, same: bool = True) -> None:
        """A comparison."""
        self.note(noted.state_compared, slot=slot, pairs=4, peer=peer, same=same)

    def samples(self) -> dict[str, float]:
        """The metrics by name."""
        return {sample.name: sample.value for metric in self.checks.collect() for sample in metric.samples}

    def test_none_so_far(self) -> None:
        """An age of nothing would be an alert, or hide one."""
        self.assertEqual(
            self.checks.status(), {"slot": None, "age_seconds": None, "agrees_with": [], "differs_from": []}
        )
        self.assertEqual(
            self.samples(), {"dkv_state_check_index": 0, "dkv_state_check_agrees": 0, "dkv_state_differs": 0}
        )

    def test_agreed(self) -> None:
        """With whom, after which slot, and how long ago."""
        self.compared(7, 3)
        self.compared(7, 2)
        self.now += 12.5
        self.assertEqual(
            self.checks.status(), {"slot": 7, "age_seconds": 12.5, "agrees_with": [2, 3], "differs_from": []}
        )
        self.assertEqual(
            self.samples(),
            {
                "dkv_state_check_index": 7,
                "dkv_state_check_age_seconds": 12.5,
                "dkv_state_check_agrees": 2,
                "dkv_state_differs": 0,
            },
        )

    def test_a_peer_differs(self) -> None:
        """It stays in the list until it agrees again."""
        self.note(noted.state_differs, peer=2, slot=7, differing=[2])
        self.compared(7, 2, same=False)
        self.compared(7, 3)
        self.assertEqual((self.checks.status()["agrees_with"], self.checks.status()["differs_from"]), ([3], [2]))
        self.compared(9, 3)
        self.assertEqual(self.samples()["dkv_state_differs"], 1)
        self.note(noted.state_agrees, peer=2, slot=9, differing=[])
        self.assertEqual(self.samples()["dkv_state_differs"], 0)

    def test_a_slow_peer(self) -> None:
        """What it says of an earlier check does not take the later one's place."""
        self.compared(9, 3)
        self.now += 5
        self.compared(7, 2)
        self.assertEqual(self.checks.status(), {"slot": 9, "age_seconds": 5.0, "agrees_with": [3], "differs_from": []})
