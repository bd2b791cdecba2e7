"""What can be recovered from the survivors of a lost majority, and what may be lost with it.

This is outside of Paxos. A value that was chosen lies on the disks of a majority, and that majority may be gone. So
the plan keeps all that it can and says the rest:

- The slots that the most complete survivor knows to be chosen are kept, as they are.
- Slots above that, without a gap, are kept too if any survivor has accepted a value there: one of them may have been
  acknowledged. If several values were accepted, the one of the highest ballot is kept, as a new leader would do.
- What lies behind the first gap is not kept: nobody knows what came before it.
- What only missing nodes held is lost. If they are no majority by themselves, nothing acknowledged was only theirs.

Survivors whose logs differ where both are chosen show that something else is wrong. Then nobody can tell which one is
right, and none is recommended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dkv.configurations import Configurations
from dkv.records import SlotRecord
from dkv.storage.survivors import Survivor


@dataclass(frozen=True, slots=True)
class LogsCompared:
    """The logs of two survivors, at the last ``slot`` that both know to be chosen.

    ``same`` is None if they cannot be compared, since one of them is compacted further than the other one reaches.
    """

    nodes: tuple[int, int]
    slot: int
    same: bool | None


class RecoveryPlan:
    """What ``survivors`` of one cluster hold together.

    ``members`` are its sets of members as the slots up to ``members_through`` have made them. ``source`` is the
    survivor whose state and log would be taken: the most complete one, or the one whose node is ``chosen`` by the user.
    It is None if logs differ and the user has not chosen.
    """

    def __init__(
        self,
        survivors: Sequence[Survivor],
        members: Configurations,
        members_through: int,
        chosen: int | None = None,
    ) -> None:
        self.survivors = survivors
        self.members = members
        self._members_through = members_through
        self.digests = _digests(survivors)
        self.comparisons = [
            self._compared(one, two) for number, two in enumerate(survivors) for one in survivors[:number]
        ]
        self.most_complete = None if self.differ else _most_complete(survivors)
        named = next((each for each in survivors if each.node == chosen), None)
        self.source = named or self.most_complete
        self._agreeing = [] if self.source is None else self._agreeing_with(self.source)
        self.kept_through = 0 if self.source is None else self._kept_through(self.source)

    # --- the members ---

    @property
    def nodes(self) -> frozenset[int]:
        """The nodes of the survivors."""
        return frozenset(each.node for each in self.survivors)

    def kind(self, node: int) -> str:
        """What the node was in the newest set of members."""
        newest = self.members.newest
        if node in newest.members:
            return "voter" if node in newest.voters else "standby"
        return "removed" if node <= self.members.ids_through else "unknown"

    @property
    def missing(self) -> frozenset[int]:
        """The members, voters and standbys, whose directories are not here."""
        return self.members.known(self._members_through) - self.nodes

    @property
    def is_majority(self) -> bool:
        """Whether the survivors can go on by themselves."""
        return self.members.decide(self.nodes, self._members_through)

    @property
    def missing_may_have_chosen(self) -> bool:
        """Whether the missing nodes are a majority: they may have chosen values of which no survivor has heard."""
        return any(each.decides(self.missing) for each in self.members.each(self._members_through))

    # --- the logs ---

    @property
    def differ(self) -> bool:
        """Whether two logs differ where both are chosen."""
        return any(each.same is False for each in self.comparisons)

    def record(self, slot: int) -> SlotRecord | None:
        """The record of ``slot`` that is kept: one that is known to be chosen, or else that of the highest ballot."""
        if self.source is not None and slot <= self.source.chosen_through:
            return self.source.record(slot)
        found = []
        for each in self._agreeing:
            record = each.record(slot)
            if record is not None:
                found.append((record.chosen or slot <= each.chosen_through, record.ballot, record))
        return max(found, key=lambda each: each[:2])[2] if found else None

    @property
    def left_out(self) -> list[tuple[int, int]]:
        """Ranges of slots, each from its first to its last one, that survivors have and that are not kept."""
        slots = {slot for each in self.survivors for slot in each.open_slots if slot > self.kept_through}
        ranges = [(self.kept_through + 1, each.chosen_through) for each in self.survivors]
        return _ranges(slots, max((each for each in ranges if each[0] <= each[1]), default=None))

    def _compared(self, one: Survivor, two: Survivor) -> LogsCompared:
        slot = min(one.chosen_through, two.chosen_through)
        here, there = self.digests[one.node].get(slot), self.digests[two.node].get(slot)
        return LogsCompared((one.node, two.node), slot, None if here is None or there is None else here == there)

    def _agreeing_with(self, source: Survivor) -> list[Survivor]:
        """``source`` and all survivors whose logs do not differ from its own."""
        pairs = [each.nodes for each in self.comparisons if each.same is False and source.node in each.nodes]
        others = {node for pair in pairs for node in pair} - {source.node}
        return [each for each in self.survivors if each.node not in others]

    def _kept_through(self, source: Survivor) -> int:
        slot = source.chosen_through
        while self.record(slot + 1) is not None:
            slot += 1
        return slot


def _most_complete(survivors: Sequence[Survivor]) -> Survivor:
    """The one that knows most slots to be chosen; of several, the one with the most on disk, then the lowest id."""
    return max(
        survivors, key=lambda each: (each.chosen_through, each.accepted_through, each.applied_through, -each.node)
    )


def _digests(survivors: Sequence[Survivor]) -> dict[int, dict[int, bytes]]:
    """By node, the digests of its log at every slot that any survivor is chosen through, as far as it has them."""
    slots = {each.chosen_through for each in survivors}
    return {each.node: each.digests(slots) for each in survivors}


def _ranges(slots: set[int], first: tuple[int, int] | None) -> list[tuple[int, int]]:
    """The ``slots``, and the range ``first``, which is below all others, as ranges."""
    ranges = [first] if first is not None else []
    for slot in sorted(slots):
        if ranges and slot <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], slot))
        else:
            ranges.append((slot, slot))
    return ranges
