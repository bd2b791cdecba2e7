"""The model of time: it holds with all its rules, each rule is needed, and its limit is where the docs say."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.models.stamps import RULES, violations

FOUND_BY = {
    "one_clock": 4,
    "median": 116,
    "walls": 0,
    "memory": 0,
    "own_course": 0,
    "sent": 1,
    "found": 0,
    "at_once": 0,
    "sleeps": 1,
    "own_wall": 12,
}
"""A seed whose schedule breaks a promise when the rule is left out."""


class StampsTests(SynchronousTestCase):
    """What expires too early is a lock that two hold."""

    def test_all_rules(self) -> None:
        """Nothing breaks it."""
        self.assertEqual([*violations("", range(600))], [])

    def test_each_rule_is_needed(self) -> None:
        """A rule whose absence nobody notices would be a rule that the model does not test."""
        self.assertEqual([*FOUND_BY], [*RULES])
        for rule, seed in FOUND_BY.items():
            self.assertEqual([*violations("", (seed,))], [], rule)
            self.assertEqual([found for found, _ in violations(rule, (seed,))], [seed], rule)

    def test_the_limit(self) -> None:
        """A wrong clock that is put right, and a node that was away meanwhile, can mislead a bare quorum."""
        self.assertEqual([found for found, _ in violations("", (8,), misled=True)], [8])
