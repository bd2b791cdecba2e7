"""The clients that speak all words: they do, in runs with faults, and whatever they are told is judged."""

from __future__ import annotations

from collections import Counter
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv import codes
from dkv.replies import ABORTED
from dkv.settings import CLASSIC, LEADER
from dkv.sim.run import run
from dkv.sim.second_commands import execute
from dkv.sim.second_keys import SecondKeys


class WordyTests(SynchronousTestCase):
    timeout = 600

    def check(self, seeds: range, mode: str) -> Counter[object]:
        """No seed breaks a rule; how often each command was executed, and what became of it."""
        counts: Counter[object] = Counter()
        forget = SecondKeys._forget

        def counted(keys: SecondKeys, entry: Any) -> Any:
            result = execute(keys, entry)
            counts[entry[0]] += 1
            counts["aborted"] += result == ABORTED
            return result

        def forgotten(self: SecondKeys, space: int, key: bytes) -> None:
            deadline = self.stored[space, key].deadline
            counts["expired"] += 0 < deadline <= self.time
            forget(self, space, key)

        with patch("dkv.sim.reference.execute", counted), patch.object(SecondKeys, "_forget", forgotten):
            for seed in seeds:
                again = f"dkv sim --seed {seed} --time 10 --mode {mode}"
                self.assertIsNone(run(seed, 3, 10.0, mode=mode).violation, again)
        return counts

    def test_all_words(self) -> None:
        """What no client asks for is not tested: every write of the log, and keys that expire."""
        counts = self.check(range(1, 13), LEADER) + self.check(range(1, 9), CLASSIC)
        asked = codes.WRITES - {codes.FLUSHALL}  # which would empty the database of the other clients
        self.assertEqual({code for code in asked if not counts[code]}, set())
        self.assertGreater(counts["aborted"], 3)
        self.assertGreater(counts["expired"], 3)
