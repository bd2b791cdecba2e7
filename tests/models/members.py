"""The state that a log leads to when members change: who decides which slots, and which batches took effect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

Members = frozenset[int]

FIRST: Members = frozenset((1, 2, 3))


class Batch(NamedTuple):
    """One write of a member's gateway. It may be proposed again and again, and takes effect once."""

    origin: int
    seq: int


Value = Batch | Members


def is_quorum(nodes: Iterable[int], members: Members) -> bool:
    """Whether ``nodes`` have a majority of the members among them."""
    return len(members & set(nodes)) * 2 > len(members)


@dataclass(frozen=True)
class State:
    """The state after a slot: who decides which slots, and the last batch of every origin."""

    applied: int = 0
    sets: tuple[tuple[int, Members], ...] = ((1, FIRST),)
    """(from slot, members), pending ones too."""
    marks: tuple[tuple[int, int], ...] = ()
    ids_through: int = max(FIRST)
    """The highest id that was ever a member's."""

    def config(self, slot: int) -> Members:
        """The members that decide ``slot``. They are known when all slots up to ``slot`` - ALPHA are applied."""
        return [members for start, members in self.sets if start <= slot][-1]

    def next(self, value: Value, alpha: int, left_out: str) -> tuple[State, bool]:
        """The state after one more slot, and whether its batch took effect."""
        slot = self.applied + 1
        members, marks = self.config(slot), dict(self.marks)
        known = self.sets[-1][1] if left_out == "marks_early" else members
        marks = {origin: seq for origin, seq in marks.items() if origin in known}
        if not isinstance(value, Batch):
            return self._changed(slot, value, alpha, left_out, marks), False
        may = value.origin in members or left_out == "late_batch"
        executed = may and value.seq == marks.get(value.origin, 0) + 1
        if executed:
            marks[value.origin] = value.seq
        return State(slot, self.sets, tuple(sorted(marks.items())), self.ids_through), executed

    def _changed(self, slot: int, members: Members, alpha: int, left_out: str, marks: dict[int, int]) -> State:
        sets, ids_through = self.sets, self.ids_through
        is_new = all(node in sets[-1][1] or node > ids_through for node in members)
        if is_new or left_out == "id_again":
            sets, ids_through = (*sets, (slot + alpha, members)), max(ids_through, *members)
        return State(slot, sets, tuple(sorted(marks.items())), ids_through)

    def snapshot(self, left_out: str) -> State:
        """The state that a peer gets which is too far behind to fetch slots."""
        if left_out != "pending_lost":
            return self
        return State(self.applied, ((1, self.config(self.applied + 1)),), self.marks, self.ids_through)
