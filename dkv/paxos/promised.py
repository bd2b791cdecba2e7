"""Who has promised the ballot of a lead, and what follows from it: which slots it may propose, and what it must there.

A promise is for all slots, so new voters are asked for the same one, also while the lead lasts. It counts whenever it
comes. Where a quorum has promised, what others report cannot be chosen, and nobody needs to ask them.
"""

from __future__ import annotations

from collections.abc import Iterable

from dkv.configurations import decided_through
from dkv.messages import Promise
from dkv.paxos.found_values import FoundValues
from dkv.paxos.known_members import KnownMembers
from dkv.paxos.promise_tally import PromiseTally


class Promised:
    """The Promises for one lead that began with those of ``tally``; all up to slot ``base`` is known chosen.

    ``found`` has the values that they report. ``lacking`` says whether a set that decides later slots has no quorum of
    them. ``kept`` says whether there are Promises that do not count yet.
    """

    def __init__(self, tally: PromiseTally, base: int) -> None:
        self.found = FoundValues(base)
        self.lacking = False
        self.kept = False
        self._tally = tally
        self._counted: set[int] = set()
        self.count(base, base + 1)

    def add(self, node: int, promise: Promise, now: float, chosen_through: int, next_slot: int) -> None:
        """Take a late Promise of a member, at monotonic second ``now``."""
        self._tally.add(node, promise, now)
        self.count(chosen_through, next_slot)

    def count(self, chosen_through: int, next_slot: int) -> None:
        """Count the Promises that report nothing as chosen above the lead's own count, ``chosen_through``.

        What they report counts for the slots from ``next_slot`` on, which are not proposed yet. The others know a slot
        to be chosen that the lead might give another value. They are kept until its count has passed that: then it is
        as if they came now.
        """
        self.kept = False
        for node in self._tally.reported() - self._counted:
            if self._tally.base_of(node) > chosen_through:
                self.kept = True
                continue
            self._counted.add(node)
            self.found.add(self._tally.records(node), next_slot)

    def allowed_through(self, members: KnownMembers, next_slot: int) -> int:
        """The last slot that may be proposed, if ``next_slot`` is the next one.

        It must be known who decides a slot, and a quorum of these must have promised (I6). The first counts what is
        *applied*: an entry that is chosen may still be refused, and change nothing.
        """
        lacking = [each for each in members.following(next_slot) if not each.decides(self._counted)]
        self.lacking = bool(lacking)
        return min([decided_through(members.applied), *(each.from_slot - 1 for each in lacking)])

    def missing(self, nodes: Iterable[int]) -> list[int]:
        """Those of ``nodes`` whose Promise is needed, as far as is known, and has not come."""
        return sorted(set(nodes) - self._tally.reported()) if self.lacking else []

    def ahead(self, members: KnownMembers, slot: int) -> list[int]:
        """The nodes that know ``slot``, the next one, to be chosen, if it lacks a quorum: the lead cannot go on."""
        if slot > decided_through(members.applied) or members.of(slot).decides(self._counted):
            return []
        return [node for node in sorted(self._tally.reported() - self._counted) if self._tally.base_of(node) >= slot]
