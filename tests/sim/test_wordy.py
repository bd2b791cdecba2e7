"""The clients that speak all words: they do, in runs with faults, and whatever they are told is judged."""

from __future__ import annotations

from collections import Counter
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv import codes
from dkv.replies import ABORTED
from dkv.settings import CLASSIC, LEADER
from dkv.sim import tokens
from dkv.sim.answer_rules import AnswerRules
from dkv.sim.run import run
from dkv.sim.second_commands import execute
from dkv.sim.second_keys import ABSENT, SecondKeys
from dkv.sim.verdict import judge


class WordyTests(SynchronousTestCase):
    timeout = 600

    def check(self, seeds: range, mode: str) -> Counter[object]:
        """No seed breaks a rule; how often each command was executed, and what became of it."""
        counts: Counter[object] = Counter()
        forget, surveyed, find = SecondKeys._forget, AnswerRules.surveyed, tokens._found

        def counted(keys: SecondKeys, entry: Any) -> Any:
            result = execute(keys, entry)
            counts[entry[0]] += 1
            if entry[0] == codes.EXEC and result == ABORTED:
                counts["aborted"] += 1
                gone = [keys.get(db, key) is None and (slot, index) == ABSENT for db, key, slot, index, _ in entry[3]]
                counts["came and went"] += all(gone)
            return result

        def is_told(self: AnswerRules, *about: Any, **fields: Any) -> None:
            counts["surveys"] += 1
            surveyed(self, *about, **fields)

        def judged(requests: Any, executions: Any, flushes: Any) -> str | None:
            counts["the crowd's database is flushed"] += len(flushes)
            return judge(requests, executions, flushes)

        def found(*about: Any) -> Any:
            answer = find(*about)
            counts["repeats"] += answer is not None and about[0].name.startswith(b"wordy")
            return answer

        def forgotten(self: SecondKeys, space: int, key: bytes) -> None:
            deadline = self.stored[space, key].deadline
            counts["expired"] += 0 < deadline <= self.time
            forget(self, space, key)

        with (
            patch("dkv.sim.reference.execute", counted),
            patch("dkv.sim.run.judge", judged),
            patch("dkv.sim.tokens._found", found),
            patch.object(AnswerRules, "surveyed", is_told),
            patch.object(SecondKeys, "_forget", forgotten),
        ):
            for seed in seeds:
                again = f"dkv sim --seed {seed} --time 10 --mode {mode}"
                self.assertIsNone(run(seed, 3, 10.0, mode=mode).violation, again)
        return counts

    def test_all_words(self) -> None:
        """What no client asks for is not tested: every write of the log, keys that expire, and what is rare."""
        counts = self.check(range(1, 25), LEADER) + self.check(range(1, 17), CLASSIC)
        self.assertEqual({code for code in codes.WRITES if not counts[code]}, set())
        rare = ("aborted", "came and went", "expired", "the crowd's database is flushed", "surveys", "repeats")
        self.assertEqual({what: counts[what] for what in rare if counts[what] < 3}, {})
