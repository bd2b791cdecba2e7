"""The state that a log leads to when members change: who decides which slots, and which batches took effect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

Members = frozenset[int]
Mark = tuple[int, int]
"""(boot, seq) of an origin's last batch."""

FIRST: Members = frozenset((1, 2, 3))
SETS_KEPT = 2
"""The one that decides the next slot, and one that follows it."""


class Batch(NamedTuple):
    """One write of a member's gateway. It may be proposed again and again, and takes effect once."""

    origin: int
    boot: int
    seq: int


class Change(NamedTuple):
    """A set of members, and the incarnations of those whom no change has named so far."""

    members: Members
    incarnations: tuple[tuple[int, int], ...]


Value = Batch | Change | None
"""None fills a slot."""


class Forgotten(LookupError):
    """The set that decides a slot is not kept any more."""


def is_quorum(nodes: Iterable[int], members: Members) -> bool:
    """Whether ``nodes`` have a majority of the members among them."""
    return len(members & set(nodes)) * 2 > len(members)


def follows(batch: Batch, mark: Mark) -> bool:
    """Whether a batch is its origin's next one: numbers begin anew with each life of a node."""
    return (batch.boot == mark[0] and batch.seq == mark[1] + 1) or (batch.boot > mark[0] and batch.seq == 1)


@dataclass(frozen=True)
class State:
    """The state after a slot: who decides which slots, and the last batch of every origin."""

    applied: int = 0
    sets: tuple[tuple[int, Members], ...] = ((1, FIRST),)
    """(from slot, members), pending ones too."""
    marks: tuple[tuple[int, Mark], ...] = ()
    ids_through: int = max(FIRST)
    """The highest id that was ever a member's."""
    incarnations: tuple[tuple[int, int], ...] = ()
    """(id, incarnation) of the members of ``sets``; nothing of the first ones before there is a change."""

    def config(self, slot: int) -> Members:
        """The members that decide ``slot``. They are known when all slots up to ``slot`` - ALPHA are applied."""
        for start, members in reversed(self.sets):
            if start <= slot:
                return members
        raise Forgotten(f"nobody knows any more who decides slot {slot}")

    def each(self) -> list[tuple[int, Members]]:
        """The set that decides the next slot, and those that follow."""
        in_force = max((start for start, _ in self.sets if start <= self.applied + 1), default=0)
        return [each for each in self.sets if each[0] >= in_force]

    def known(self) -> Members:
        """Who is a member of any of them."""
        return Members().union(*(members for _, members in self.each()))

    def next(self, value: Value, alpha: int, left_out: str) -> tuple[State, bool]:
        """The state after one more slot, and whether its batch took effect."""
        slot = self.applied + 1
        members, marks = self.config(slot), dict(self.marks)
        known = self.sets[-1][1] if left_out == "marks_early" else members
        marks = {origin: mark for origin, mark in marks.items() if origin in known}
        executed = False
        if isinstance(value, Batch) and (value.origin in members or left_out == "late_batch"):
            executed = follows(value, marks.get(value.origin, (0, 0)))
            if executed:
                marks[value.origin] = (value.boot, value.seq)
        state = replace(self, applied=slot, marks=tuple(sorted(marks.items())))
        return state._changed(slot, value, alpha, left_out) if isinstance(value, Change) else state, executed

    def _changed(self, slot: int, change: Change, alpha: int, left_out: str) -> State:
        """The state with a new set, unless its change is refused."""
        members = change.members
        incarnations = dict(change.incarnations) | dict(self.incarnations)
        if self.sets[-1][0] > slot and left_out != "many_changes":
            return self
        if (
            any(node not in self.sets[-1][1] and node <= self.ids_through for node in members)
            and left_out != "id_again"
        ):
            return self
        if not incarnations.keys() >= members:
            return self
        sets = (*self.sets, (slot + alpha, members))[-SETS_KEPT:]
        kept = Members().union(*(each for _, each in sets))
        named = tuple(sorted((node, incarnation) for node, incarnation in incarnations.items() if node in kept))
        return replace(self, sets=sets, ids_through=max(self.ids_through, *members), incarnations=named)

    def snapshot(self, left_out: str) -> State:
        """The state that a peer gets which is too far behind to fetch slots."""
        if left_out != "pending_lost":
            return self
        return replace(self, sets=((1, self.config(self.applied + 1)),))
