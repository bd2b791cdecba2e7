"""Who decides which slots, folded from the log a second time, by rules that are written a second time.

The judge of a run counts votes by this table. A change ``[base, operation, ...]`` at slot j makes a set that decides
the slots from j + ALPHA on, or it is refused whole, by the log alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from struct import pack

from dkv import configurations
from dkv.configurations import ADDRESS_BYTES_MAX, STANDBYS_MAX, VOTERS_MAX, Configuration, MemberRecord
from dkv.records import UncheckedEntry

ADD, PROMOTE, REMOVE, MOVE, NAME = 1, 2, 3, 4, 5
"""The operations of a change: ``[ADD, id, incarnation, peer, client]``, ``[PROMOTE, id]``, ``[REMOVE, id]``,
``[MOVE, id, peer, client]``, and ``[NAME, id, incarnation]`` for a first member, whose incarnation no entry gave."""

SETS_KEPT = 16
"""How many sets a node remembers."""


@dataclass(slots=True)
class _Draft:
    """The members as the operations of one entry change them, one after the other."""

    voters: set[int]
    standbys: set[int]
    records: dict[int, MemberRecord]
    ids_through: int

    @property
    def members(self) -> set[int]:
        """Voters and standbys."""
        return self.voters | self.standbys

    def take(self, operation: object) -> bool:
        """Carry out one operation; False if it cannot be."""
        if not isinstance(operation, list) or not {*map(type, operation)} <= {int, bytes}:
            return False
        match operation:
            case [kind, int() as node, int() as incarnation, bytes() as peer, bytes() as client] if kind == ADD:
                if not self.ids_through < node < 1 << 32:
                    return False
                self.ids_through = node
                self.standbys.add(node)
                return self._name(node, incarnation) and self._move(node, peer, client)
            case [kind, int() as node] if kind == PROMOTE and node in self.standbys:
                self.standbys.remove(node)
                self.voters.add(node)
            case [kind, int() as node] if kind == REMOVE and node in self.members:
                self.voters.discard(node)
                self.standbys.discard(node)
            case [kind, int() as node, bytes() as peer, bytes() as client] if kind == MOVE and node in self.members:
                return self._move(node, peer, client)
            case [kind, int() as node, int() as incarnation] if kind == NAME and node in self.members:
                return self._name(node, incarnation)
            case _:
                return False
        return True

    def _name(self, node: int, incarnation: int) -> bool:
        if not 0 <= incarnation < 1 << 64:
            return False
        return self.records.setdefault(node, MemberRecord(node, incarnation)).incarnation == incarnation

    def _move(self, node: int, *addresses: bytes) -> bool:
        if node not in self.records or any(not 33 <= byte <= 126 for address in addresses for byte in address):
            return False
        if any(len(address) > ADDRESS_BYTES_MAX for address in addresses):
            return False
        peer, client = addresses
        self.records[node] = replace(self.records[node], peer=peer.decode(), client=client.decode())
        return True

    @property
    def is_whole(self) -> bool:
        """Whether a cluster of these members can be."""
        counts = 0 < len(self.voters) <= VOTERS_MAX and len(self.standbys) <= STANDBYS_MAX
        return counts and all(node in self.records for node in self.members)


class MemberTable:
    """All sets that the log has led to, with what it says of their members. ``first`` are those of ``dkv init``."""

    def __init__(self, first: Iterable[int]) -> None:
        self.sets = [Configuration(0, 1, frozenset(first))]
        self.records: dict[int, MemberRecord] = {}
        """Everyone who was ever named, by id."""
        self.ids_through = max(self.sets[0].voters)

    def config(self, slot: int) -> Configuration:
        """The set that decides ``slot``: right as soon as all up to ``slot`` - ALPHA is applied."""
        return next(each for each in reversed(self.sets) if each.from_slot <= slot)

    def configs(self, first: int, last: int) -> list[Configuration]:
        """The sets that decide a slot from ``first`` to ``last``."""
        ends = [each.from_slot for each in self.sets[1:]] + [last + 1]
        return [each for each, end in zip(self.sets, ends, strict=True) if each.from_slot <= last and end > first]

    def stored(self) -> bytes:
        """The form in which every node keeps the newest sets, and what the log says of their members."""
        sets = self.sets[-SETS_KEPT:]
        kept = [
            self.records[node] for node in sorted(frozenset().union(*(each.members for each in sets)) & {*self.records})
        ]
        stored = pack(">BIHB", 1, self.ids_through, len(kept), len(sets))
        for record in kept:
            peer, client = record.peer.encode(), record.client.encode()
            stored += pack(">IQBB", record.id, record.incarnation, len(peer), len(client)) + peer + client
        for each in sets:
            stored += pack(">QQBB", each.slot, each.from_slot, len(each.voters), len(each.standbys))
            for ids in (sorted(each.voters), sorted(each.standbys)):
                stored += pack(f">{len(ids)}I", *ids)
        return stored

    def apply(self, slot: int, change: UncheckedEntry) -> bool:
        """Take the change of a slot; whether it changed anything. At most one set waits for its slot at a time."""
        newest = self.sets[-1]
        base, *operations = change or [None]
        if type(base) is not int or base != newest.slot or newest.from_slot > slot or not operations:
            return False
        draft = _Draft(set(newest.voters), set(newest.standbys), dict(self.records), self.ids_through)
        if not all(map(draft.take, operations)) or not draft.is_whole:
            return False
        from_slot = slot + configurations.ALPHA
        self.sets.append(Configuration(slot, from_slot, frozenset(draft.voters), frozenset(draft.standbys)))
        self.records, self.ids_through = draft.records, draft.ids_through
        return True
