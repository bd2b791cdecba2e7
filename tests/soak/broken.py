"""A rule that must hold during a soak did not."""

from __future__ import annotations


class RuleBroken(Exception):
    """``rule`` is the name of what broke, ``facts`` say how, in one line."""

    def __init__(self, rule: str, facts: str) -> None:
        super().__init__(f"{rule}: {facts}")
        self.rule = rule
        self.facts = facts
