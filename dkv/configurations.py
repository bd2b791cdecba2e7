"""Configurations: who votes on which slots. Members change through the log, so this follows from it alone.

A change that is applied at slot j decides the slots from j + ``ALPHA`` on (Lamport, "Paxos Made Simple", section 3:
the state after slot i decides slot i + alpha). So config(s) is known to whoever has applied all slots up to s - ALPHA,
and nobody may count votes for slot s before. *Voters* decide. *Standbys* are sent all that voters are sent, and are
counted nowhere. All of this are values; ``dkv.kv.membership`` makes them from the log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from struct import Struct, error

ALPHA = 64
"""How many slots after its entry a change takes force: part of the format, the same on all nodes for ever."""

SETS_KEPT = 16
"""How many sets are remembered: a leader may still recover slots that lie behind what it has applied."""

VOTERS_MAX = 15
STANDBYS_MAX = 16
ADDRESS_BYTES_MAX = 255

_VERSION = 1
_HEAD = Struct(">BIHB")  # version, highest id, number of records, number of sets
_RECORD = Struct(">IQBB")  # id, incarnation, bytes of the two addresses
_SET = Struct(">QQBB")  # slot, from_slot, number of voters, number of standbys


class ConfigurationForgotten(LookupError):
    """The slot is decided by a set that is no longer remembered."""


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """What the log says of a member: its id, its directory's incarnation, and its addresses, ``HOST:PORT``.

    Empty addresses are those of the config file. Of a first member nothing is known before the first change.
    """

    id: int
    incarnation: int
    peer: str = ""
    client: str = ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A set of members: made by the entry in ``slot`` (0: by ``dkv init``), it decides the slots from ``from_slot``."""

    slot: int
    from_slot: int
    voters: frozenset[int]
    standbys: frozenset[int] = frozenset()

    @property
    def members(self) -> frozenset[int]:
        """Voters and standbys."""
        return self.voters | self.standbys

    @property
    def quorum(self) -> int:
        """The least number of voters such that any two groups of that many share one."""
        return len(self.voters) // 2 + 1

    def decides(self, nodes: Collection[int]) -> bool:
        """Whether ``nodes`` hold a majority of the voters. Any two majorities share a voter: Paxos rests on that."""
        return len(self.voters.intersection(nodes)) >= self.quorum


@dataclass(frozen=True, slots=True)
class Configurations:
    """The sets that the log has led to, oldest first, with what it says of their members.

    ``ids_through`` is the highest id that any member ever had: an id is never used again.
    """

    sets: tuple[Configuration, ...]
    records: tuple[MemberRecord, ...]
    ids_through: int

    @property
    def newest(self) -> Configuration:
        """The last set, which may not be in force yet."""
        return self.sets[-1]

    def of(self, slot: int) -> Configuration:
        """config(slot), as far as is known: right if all slots up to ``slot`` - ``ALPHA`` are applied.

        ``ConfigurationForgotten`` if too many sets have followed it.
        """
        for each in reversed(self.sets):
            if each.from_slot <= slot:
                return each
        raise ConfigurationForgotten(f"the set that decides slot {slot} is forgotten")

    def in_force(self, applied: int) -> Configuration:
        """The set that decides the next slot, once all slots up to ``applied`` are applied."""
        return self.of(applied + 1)

    def each(self, applied: int) -> tuple[Configuration, ...]:
        """The set in force and those that follow it, when all slots up to ``applied`` are applied."""
        first = self.in_force(applied)
        return tuple(each for each in self.sets if each.from_slot >= first.from_slot)

    def decide(self, nodes: Collection[int], applied: int) -> bool:
        """Whether ``nodes`` hold a quorum of every set that decides a slot which is still to come."""
        return all(each.decides(nodes) for each in self.each(applied))

    def pending(self, applied: int) -> Configuration | None:
        """The set that is applied and not in force, if there is one."""
        newest = self.newest
        return newest if newest.from_slot > applied + 1 else None

    def known(self, applied: int) -> frozenset[int]:
        """All voters and standbys of the set in force and those that follow it."""
        return frozenset().union(*(each.members for each in self.each(applied)))

    @property
    def remembered(self) -> frozenset[int]:
        """Everyone in the sets that are remembered, removed nodes among them."""
        return frozenset().union(*(each.members for each in self.sets))

    def contacts(self, node: int, applied: int) -> frozenset[int]:
        """Whom ``node`` talks with by the log, itself excepted: all that are known.

        A node that was removed takes no part any more, and goes on giving what it holds to everyone that the log
        remembers. The slots before its removal may be on the disks of those alone that decided them.
        """
        talks = self.remembered if self.was_removed(node, applied) else self.known(applied)
        return talks - {node}

    def was_removed(self, node: int, applied: int) -> bool:
        """Whether the log has made the node leave; one with a higher id is not known *yet*."""
        return node <= self.ids_through and node not in self.known(applied)

    def later(self, nodes: Iterable[int]) -> frozenset[int]:
        """Those of ``nodes`` that may be members by a part of the log which is not applied yet: ids only grow."""
        return frozenset(node for node in nodes if node > self.ids_through)

    def left_at(self, node: int) -> int:
        """The slot of the first set without ``node`` behind the last one with it, as far back as sets are remembered.

        Ask it of a node that was removed.
        """
        left = self.newest.slot
        for each in reversed(self.sets):
            if node in each.members:
                break
            left = each.slot
        return left

    def record(self, node: int) -> MemberRecord | None:
        """What the log says of a node; None before the first change, or once all its sets are forgotten."""
        return next((each for each in self.records if each.id == node), None)


def decided_through(applied: int) -> int:
    """The last slot whose set is known, once all slots up to ``applied`` are applied."""
    return applied + ALPHA


def needed_for(slot: int) -> int:
    """Up to which slot the log must be applied for it to be known who decides ``slot``."""
    return slot - ALPHA


def first_configurations(ids: Iterable[int]) -> Configurations:
    """What a cluster begins with: the ``ids`` that ``dkv init`` wrote, all of them voters."""
    voters = frozenset(ids)
    return Configurations((Configuration(0, 1, voters),), (), max(voters, default=0))


def pack_configurations(held: Configurations) -> bytes:
    """The stored form: the same bytes on every node that has applied the same log."""
    parts = [_HEAD.pack(_VERSION, held.ids_through, len(held.records), len(held.sets))]
    for record in held.records:
        peer, client = record.peer.encode(), record.client.encode()
        parts += [_RECORD.pack(record.id, record.incarnation, len(peer), len(client)), peer, client]
    for each in held.sets:
        parts.append(_SET.pack(each.slot, each.from_slot, len(each.voters), len(each.standbys)))
        parts += [id_.to_bytes(4) for group in (each.voters, each.standbys) for id_ in sorted(group)]
    return b"".join(parts)


def unpack_configurations(stored: bytes) -> Configurations:
    """What was stored; ``ValueError`` if these bytes are no such thing."""
    try:
        return _unpack(stored)
    except (error, UnicodeDecodeError, IndexError) as damage:
        raise ValueError(f"the stored members cannot be read: {damage}") from damage


def _unpack(stored: bytes) -> Configurations:
    version, ids_through, records_count, sets_count = _HEAD.unpack_from(stored)
    if version != _VERSION or not sets_count:
        raise ValueError(f"the stored members cannot be read: version {version}, {sets_count} sets")
    place = _HEAD.size
    records = []
    for _ in range(records_count):
        id_, incarnation, *sizes = _RECORD.unpack_from(stored, place)
        place += _RECORD.size
        addresses = []
        for size in sizes:
            addresses.append(_cut(stored, place, size).decode())
            place += size
        records.append(MemberRecord(id_, incarnation, *addresses))
    sets = []
    for _ in range(sets_count):
        slot, from_slot, *sizes = _SET.unpack_from(stored, place)
        place += _SET.size
        groups = []
        for size in sizes:
            ids = _cut(stored, place, 4 * size)
            groups.append(frozenset(int.from_bytes(ids[at : at + 4]) for at in range(0, len(ids), 4)))
            place += len(ids)
        sets.append(Configuration(slot, from_slot, *groups))
    if place != len(stored):
        raise ValueError(f"the stored members cannot be read: {len(stored) - place} bytes too many")
    return Configurations(tuple(sets), tuple(records), ids_through)


def _cut(stored: bytes, place: int, size: int) -> bytes:
    if place + size > len(stored):
        raise IndexError(f"{size} bytes are missing at {place}")
    return stored[place : place + size]
