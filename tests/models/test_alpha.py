"""The model of members that change: it holds with all its rules, and each rule is needed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.models.alpha import violations
from tests.models.members import FIRST, Batch, State, is_quorum
from tests.models.rules import RULES

FOUND_BY = {
    "newest": 47,
    "phase1_once": 572,
    "beyond": 194,
    "unmerged": 1741,
    "behind": 15,
    "old_confirm": 1793,
    "same_id": 59,
    "standby_votes": 0,
    "pending_lost": 80,
    "marks_early": 29,
    "late_batch": 2,
    "id_again": 62,
}
"""A seed whose schedule breaks the protocol when the rule is left out; ``python -m tests.models.alpha`` finds them."""


class AlphaTests(SynchronousTestCase):
    """Whatever is built must do as the model does."""

    def test_all_rules(self) -> None:
        """Nothing breaks it."""
        self.assertEqual([*violations("", range(400))], [])

    def test_each_rule_is_needed(self) -> None:
        """A rule whose absence nobody notices would be a rule that the model does not test."""
        self.assertEqual([*FOUND_BY], [*RULES])
        for rule, seed in FOUND_BY.items():
            self.assertEqual([*violations("", (seed,))], [], rule)
            self.assertEqual([found for found, _ in violations(rule, (seed,))], [seed], rule)


class StateTests(SynchronousTestCase):
    """What the log amounts to."""

    def test_a_change_takes_force_later(self) -> None:
        """The slots that may be under way already are decided by those who decided them before."""
        state, _ = State().next(frozenset((3, 4)), 2, "")
        self.assertEqual([sorted(state.config(slot)) for slot in (1, 2, 3, 4)], [[1, 2, 3], [1, 2, 3], [3, 4], [3, 4]])

    def test_a_removed_id_never_comes_back(self) -> None:
        """Its mark is gone, so its first batch would take effect once more."""
        state, _ = State().next(frozenset((2, 3)), 1, "")
        state, _ = state.next(FIRST, 1, "")
        self.assertEqual(state.config(9), frozenset((2, 3)))

    def test_batches(self) -> None:
        """In order and once, of members alone."""
        took_effect = []
        state = State()
        for batch in (Batch(1, 1), Batch(1, 1), Batch(1, 3), Batch(1, 2), Batch(4, 1)):
            state, executed = state.next(batch, 1, "")
            took_effect.append(executed)
        self.assertEqual(took_effect, [True, False, False, True, False])

    def test_quorums(self) -> None:
        """Only votes of members count."""
        self.assertTrue(is_quorum((1, 2), FIRST))
        self.assertFalse(is_quorum((1, 4, 5, 6), FIRST))
