"""A state of more bytes than its nodes may hold in memory; ``python -m tests.large_state`` measures the whole size."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import CLASSIC, LEADER
from tests.large_state.__main__ import LargeState

KEYS = 200_000
MIB_EACH = 144
SAMPLES = 300


class LargeStateTest(SynchronousTestCase):
    timeout = 300

    def check(self, mode: str, keys: int) -> None:
        """Written, read, sent to a node that was away, started on."""
        lines: list[str] = []
        large = LargeState(keys, MIB_EACH, mode, lines.append, SAMPLES)
        self.addCleanup(large.close)
        large.run()
        self.assertIn("a snapshot", "\n".join(lines))

    def test_leader_mode(self) -> None:
        """Keys must not have to fit into memory, nor may a start or a snapshot read all of them into it."""
        self.check(LEADER, KEYS)

    def test_classic_mode(self) -> None:
        """The same, where nobody leads."""
        self.check(CLASSIC, KEYS // 10)
