"""Bugs of members that change, in classic mode: forms that differ from those of ``tests.sim.planted_members``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from dkv.configurations import Configuration
from dkv.paxos.classic.filling import Filling
from dkv.paxos.classic.proposer import ClassicProposer

Plant = Callable[[], Any]
CLASSIC_MEMBERS: dict[str, Plant] = {}
"""Every planted bug by its name."""


def _plant(function: Callable[[], Iterator[None]]) -> Plant:
    CLASSIC_MEMBERS[function.__name__] = contextmanager(function)
    return CLASSIC_MEMBERS[function.__name__]


class _StandbysVote(Configuration):
    """A set of which standbys decide, too, by the quorum of its voters."""

    def decides(self, nodes: Collection[int]) -> bool:
        """Whether so many members are among ``nodes`` as there are voters in a quorum."""
        return len(self.members.intersection(nodes)) >= self.quorum


@_plant
def standbys_vote() -> Iterator[None]:
    """A proposer counts the promises and votes of standbys like those of voters."""
    deciding = ClassicProposer._deciding

    def all_decide(self: ClassicProposer) -> Configuration:
        right = deciding(self)
        return _StandbysVote(right.slot, right.from_slot, right.voters, right.standbys)

    with patch.object(ClassicProposer, "_deciding", all_decide):
        yield


@_plant
def set_before_decides() -> Iterator[None]:
    """A proposer goes by the set that decided the slot before: it asks before the change is applied (R3)."""
    deciding = ClassicProposer._deciding

    def decided_before(self: ClassicProposer) -> Configuration:
        right = deciding(self)
        return self._members.of(self._slot - 1) if right.from_slot == self._slot > right.slot > 0 else right

    with patch.object(ClassicProposer, "_deciding", decided_before):
        yield


@_plant
def nobody_fills() -> Iterator[None]:
    """Nobody proposes no-ops while a change waits: it takes force only when clients have written enough."""
    with patch.object(Filling, "update", lambda self, turn, members: None):
        yield
