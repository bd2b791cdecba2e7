"""Changes of members that are torn, and ids that operators want to use again: no rule is broken."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv import machine
from dkv.kv.membership import changed
from dkv.messages import Promise
from dkv.paxos.promised import Promised
from dkv.replies import Error
from dkv.settings import CLASSIC, LEADER
from dkv.sim.modes import MIXED
from dkv.sim.plan import OF_OPERATORS
from dkv.sim.run import run


class RunTests(SynchronousTestCase):
    timeout = 600

    def check(self, seeds: range, *faults: str, mode: str = LEADER, seconds: float = 8.0) -> None:
        """No seed breaks a rule."""
        for seed in seeds:
            result = run(seed, 3 if seed % 2 else 5, seconds, frozenset(faults), mode=mode)
            self.assertIsNone(result.violation, f"seed {seed}")

    def test_promises_come_late(self) -> None:
        """Newcomers tell a leader of slots that it has not proposed, and of slots that they know to be chosen."""
        counts: Counter[str] = Counter()
        add = Promised.add

        def count(
            promised: Promised, node: int, promise: Promise, now: float, chosen_through: int, next_slot: int
        ) -> None:
            counts["reported"] += any(slot >= next_slot for slot, _ in promise.records)
            counts["chosen"] += promise.chosen_through >= next_slot
            add(promised, node, promise, now, chosen_through, next_slot)

        self.patch(Promised, "add", count)
        self.check(range(1, 11), "torn-change")
        self.assertGreater(counts["reported"], 2)
        self.assertGreater(counts["chosen"], 1)

    def test_other_modes(self) -> None:
        """Where nobody leads, or some nodes have a leader at times, a change is torn like that, too."""
        self.check(range(1, 5), "torn-change", mode=CLASSIC, seconds=4.0)
        self.check(range(1, 5), "torn-change", mode=MIXED, seconds=4.0)

    def test_an_id_is_not_used_again(self) -> None:
        """The log refuses it, also where a disk was lost."""
        refused = []

        def judge(*arguments: Any) -> Any:
            result = changed(*arguments)
            if isinstance(result, Error) and "no id is used twice" in result.text:
                refused.append(result)
            return result

        self.patch(machine, "changed", judge)
        self.check(range(1, 4), "same-id", "lost-disk", *OF_OPERATORS)
        self.assertTrue(refused)
