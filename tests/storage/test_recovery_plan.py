"""What can be recovered from survivors, and what is said to be lost: one case of logs a test."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from dkv.configurations import Configuration, Configurations, MemberRecord
from dkv.records import NOOP, SlotRecord, Value
from dkv.storage.recovery_plan import LogsCompared, RecoveryPlan
from dkv.storage.survivors import survivors_in
from tests.storage.survivor_directories import LOG, accepted, make_survivor, value
from tests.storage.test_survivors import SurvivorCase

OTHER = [*LOG[:2], value(3, [b"another", b"log"]), *LOG[3:]]


class PlanTests(SurvivorCase):
    def plan(self, logs: Mapping[int, Any], chosen: int | None = None, members: int = 3) -> RecoveryPlan:
        """The plan for survivors by node: of each its log, or the arguments of ``make_survivor``."""
        for node, made in logs.items():
            arguments = made if isinstance(made, dict) else {"log": made}
            make_survivor(self.at(f"node{node}"), node, members=range(1, members + 1), **arguments)
        opened = ExitStack()
        self.addCleanup(opened.close)
        survivors = opened.enter_context(survivors_in([self.at(f"node{node}") for node in logs]))
        newest = max(survivors, key=lambda each: each.applied_through)
        return RecoveryPlan(survivors, newest.members(), newest.applied_through, chosen)

    def assert_kept(self, plan: RecoveryPlan, source: int | None, through: int, *lost: tuple[int, int]) -> None:
        """Which node is taken, through which slot all is kept, and what is not."""
        assert plan.source is not None
        self.assertEqual((plan.source.node, plan.kept_through, plan.left_out), (source, through, list(lost)))

    def value_at(self, plan: RecoveryPlan, slot: int) -> Value:
        """The value that is kept."""
        record = plan.record(slot)
        assert record is not None
        return record.value

    # --- members ---

    def test_one_of_three(self) -> None:
        """The two that are gone were a majority: what only they had is lost, and nobody knows it."""
        plan = self.plan({2: LOG})
        self.assertEqual((plan.nodes, plan.missing), ({2}, {1, 3}))
        self.assertEqual((plan.is_majority, plan.missing_may_have_chosen), (False, True))
        self.assert_kept(plan, 2, 6)

    def test_two_of_four(self) -> None:
        """Half of an even number: no majority is here, and none is gone, so each acknowledged write is here."""
        plan = self.plan({1: LOG, 4: LOG[:4]}, members=4)
        self.assertEqual((plan.is_majority, plan.missing_may_have_chosen), (False, False))
        self.assert_kept(plan, 1, 6)

    def test_two_of_three(self) -> None:
        """They can go on by themselves."""
        plan = self.plan({1: LOG, 2: LOG})
        self.assertEqual((plan.is_majority, plan.missing_may_have_chosen), (True, False))

    def test_changed_members(self) -> None:
        """The newest sets count, all that decide a slot to come: not those that the cluster began with."""
        records = tuple(MemberRecord(node, node) for node in (2, 3, 4, 5))
        first = Configuration(0, 1, frozenset((1, 2, 3)))
        second = Configuration(2, 5, frozenset((2, 3, 4)), frozenset((5,)))
        sets = Configurations((first, second), records, 5)
        plan = self.plan({1: LOG[:3], 3: {"log": LOG, "sets": sets}, 5: {"log": LOG, "sets": sets}})
        self.assertEqual([plan.kind(node) for node in (1, 3, 5, 6)], ["removed", "voter", "standby", "unknown"])
        self.assertEqual((plan.missing, plan.is_majority, plan.missing_may_have_chosen), ({2, 4}, False, True))
        self.place = self.place / "pending"
        third = Configuration(5, 69, frozenset((3, 5)))
        pending = Configurations((first, second, third), records, 5)
        plan = self.plan({3: {"log": LOG, "sets": pending}, 5: {"log": LOG, "sets": pending}})
        self.assertEqual((plan.missing, plan.is_majority, plan.missing_may_have_chosen), ({2, 4}, False, True))

    # --- which is the most complete ---

    def test_most_complete(self) -> None:
        """The one that knows most slots to be chosen, not the one that has accepted most."""
        more: dict[int, SlotRecord] = {slot: accepted(NOOP, 3) for slot in range(4, 30)}
        plan = self.plan({1: LOG, 2: {"log": LOG[:3], "more": more}}, members=5)
        self.assert_kept(plan, 1, 29)
        self.assertEqual(self.value_at(plan, 6), LOG[5])
        self.assertEqual(plan.comparisons, [LogsCompared((1, 2), 3, True)])

    def test_ties(self) -> None:
        """Of two that know the same, the one with more on disk; then the lower id."""
        self.assert_kept(self.plan({4: LOG, 5: LOG}, members=5), 4, 6)
        self.place = self.place / "more"
        self.assert_kept(self.plan({4: LOG, 5: {"log": LOG, "more": {7: accepted(NOOP)}}}, members=5), 5, 7)

    # --- what is accepted above ---

    def test_accepted_is_kept(self) -> None:
        """It may have been acknowledged: slots that follow without a gap, whoever has them."""
        ours, theirs = {7: accepted(value(6))}, {8: accepted(value(7))}
        plan = self.plan({1: {"log": LOG, "more": ours}, 2: {"log": LOG[:5], "more": theirs}}, members=5)
        self.assert_kept(plan, 1, 8)
        self.assertEqual([self.value_at(plan, slot) for slot in (6, 7, 8)], [LOG[5], value(6), value(7)])

    def test_highest_ballot(self) -> None:
        """As a new leader would choose: no lower one can have been chosen if the higher one was proposed rightly."""
        ours, theirs = {7: accepted(value(6), 2)}, {7: accepted(value(9), 3)}
        plan = self.plan({1: {"log": LOG, "more": ours}, 2: {"log": LOG[:6], "more": theirs}}, members=5)
        self.assertEqual(self.value_at(plan, 7), value(9))

    def test_chosen_counts_more(self) -> None:
        """A value that was learned as chosen has a low ballot, and wins."""
        ours, theirs = {8: accepted(value(6), 0, chosen=True), 7: accepted(NOOP)}, {8: accepted(value(9), 3)}
        plan = self.plan({1: {"log": LOG, "more": ours}, 2: {"log": LOG[:6], "more": theirs}}, members=5)
        self.assert_kept(plan, 1, 8)
        self.assertEqual(self.value_at(plan, 8), value(6))

    def test_gap(self) -> None:
        """What stands behind a slot that nobody has is not kept, and is said to be lost."""
        more = {slot: accepted(value(slot)) for slot in (7, 9, 10, 12)}
        self.assert_kept(self.plan({1: {"log": LOG, "more": more}}), 1, 7, (9, 10), (12, 12))

    # --- compacted ---

    def test_compacted(self) -> None:
        """A survivor whose log begins late is as good as another; the digest where it begins is compared."""
        plan = self.plan({1: {"log": LOG, "compacted": 4}, 2: LOG[:4]}, members=5)
        self.assertEqual(plan.comparisons, [LogsCompared((1, 2), 4, True)])
        self.assert_kept(plan, 1, 6)

    def test_not_comparable(self) -> None:
        """One log begins behind the end of the other: nothing can be said, and the longer one is taken."""
        plan = self.plan({1: {"log": LOG, "compacted": 5}, 2: LOG[:4]}, members=5)
        self.assertEqual(plan.comparisons, [LogsCompared((1, 2), 4, None)])
        self.assert_kept(plan, 1, 6)

    # --- logs that differ ---

    def test_differing(self) -> None:
        """Two chosen values for a slot: one of them is wrong, nobody knows which, and none is recommended."""
        plan = self.plan({1: LOG, 2: OTHER[:5]}, members=5)
        self.assertEqual(plan.comparisons, [LogsCompared((1, 2), 5, False)])
        self.assertEqual((plan.differ, plan.most_complete, plan.source), (True, None, None))

    def test_differing_and_chosen(self) -> None:
        """The user has found out which one is right: those that differ from it have no say, the others have."""
        more = {7: accepted(value(6))}
        logs = {
            1: LOG,
            2: {"log": OTHER[:5], "more": {6: accepted(NOOP), 8: accepted(NOOP)}},
            3: {"log": LOG, "more": more},
        }
        plan = self.plan(logs, chosen=1, members=7)
        self.assert_kept(plan, 1, 7, (8, 8))
        self.assertEqual(self.value_at(plan, 7), value(6))
        self.assertEqual(RecoveryPlan(plan.survivors, plan.members, 6, 2).kept_through, 6)

    def test_chosen_one_is_behind(self) -> None:
        """The others' chosen slots are kept behind its own; if they are compacted there, the plan says what is lost."""
        logs: dict[int, Any] = {1: LOG, 2: LOG[:3]}
        plan = self.plan(logs, chosen=2, members=5)
        self.assert_kept(plan, 2, 6)
        self.assertEqual(self.value_at(plan, 5), LOG[4])
        self.place = self.place / "compacted"
        plan = self.plan({1: {"log": LOG, "compacted": 5}, 2: LOG[:3]}, chosen=2, members=5)
        self.assert_kept(plan, 2, 3, (4, 6))
