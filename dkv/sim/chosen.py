"""The agreement of the cluster, seen from outside: votes counted on disks.

Nothing here asks an actor what it believes. A value is chosen for a slot when a quorum of the voters that decide the
slot has had it on disk in one ballot. Who decides it is known once all up to ALPHA slots before are chosen: votes that
come earlier wait. A second state machine applies the chosen values (``dkv.sim.reference``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b
from struct import pack
from zlib import crc32

from dkv import configurations
from dkv.ballot import Ballot
from dkv.configurations import Configuration
from dkv.kv.sessions import Bounds
from dkv.records import Value
from dkv.sim.member_rules import MemberTable
from dkv.sim.reference import Reference


class Chosen:
    """Votes by slot and ballot; ``values`` and ``ballots`` of the chosen slots; all up to ``through`` are chosen."""

    def __init__(self, members: Iterable[int], bounds: Bounds) -> None:
        self.values: dict[int, Value] = {}
        self.ballots: dict[int, Ballot] = {}
        self.batches: dict[tuple[int, int, int, int], int] = {}
        """The first slot in which each batch may take effect, by (node, incarnation, boot, seq)."""
        self.through = 0
        self.members = MemberTable(members)
        self.reference = Reference(bounds, self.members)
        self.digests = [bytes(16)]
        """The digest of the log up to each slot, by slot; 0 is the empty log."""
        self._proposed: dict[tuple[int, Ballot], Value] = {}
        self._blobs: dict[tuple[int, int, int, int], bytes] = {}
        self._votes: defaultdict[tuple[int, Ballot], set[int]] = defaultdict(set)
        self._waiting: defaultdict[int, dict[Ballot, Value]] = defaultdict(dict)
        """What was voted for in slots of which nobody knows yet who decides them."""

    def config(self, slot: int) -> Configuration | None:
        """The set that decides ``slot``; None if the log does not say that yet."""
        return self.members.config(slot) if slot <= self.through + configurations.ALPHA else None

    def configs(self, first: int, last: int) -> list[Configuration]:
        """The sets that decide a slot from ``first`` to ``last``, as far as the log says it."""
        return self.members.configs(first, min(last, self.through + configurations.ALPHA))

    def proposed(self, slot: int, ballot: Ballot, value: Value) -> str | None:
        """``ballot`` proposes ``value``: returns what is wrong with that, if anything."""
        if self._proposed.setdefault((slot, ballot), value) != value:
            return f"ballot {ballot} proposed two values for slot {slot}"
        for batch in value.batches:
            if self._blobs.setdefault((batch.node, batch.incarnation, batch.boot, batch.seq), batch.blob) != batch.blob:
                return f"node {batch.node} gave the number {batch.boot}-{batch.seq} to two batches"
        chosen_in = self.ballots.get(slot)
        if chosen_in is not None and chosen_in < ballot and self.values[slot] != value:
            return f"ballot {ballot} proposed another value for slot {slot}, which was chosen in ballot {chosen_in}"
        return None

    def voted(self, node: int, slot: int, ballot: Ballot, value: Value) -> str | None:
        """``node`` has ``value`` on disk for ``slot``, accepted in ``ballot``."""
        if self._proposed.get((slot, ballot), value) != value:
            return f"node {node} holds a value for slot {slot} in ballot {ballot} that this ballot did not propose"
        self._votes[slot, ballot].add(node)
        self._waiting[slot][ballot] = value
        return self._count()

    def _count(self) -> str | None:
        """Count the votes for all slots of which it is known who decides them."""
        complaint = None
        while due := [slot for slot in self._waiting if self.config(slot) is not None]:
            for slot in due:
                for ballot, value in self._waiting.pop(slot).items():
                    if self.counted(slot, ballot):
                        complaint = complaint or self._choose(slot, ballot, value)
            while self.through + 1 in self.values:
                self._extend(self.through + 1)
        return complaint

    def _choose(self, slot: int, ballot: Ballot, value: Value) -> str | None:
        if self.values.setdefault(slot, value) != value:
            return f"slot {slot} has two chosen values, of ballots {self.ballots[slot]} and {ballot}"
        self.ballots.setdefault(slot, ballot)
        return None

    def _extend(self, slot: int) -> None:
        """All slots up to this one are chosen now."""
        value, origins = self.values[slot], self.members.config(slot).members
        for batch in value.batches:
            if batch.node in origins:
                self.batches.setdefault((batch.node, batch.incarnation, batch.boot, batch.seq), slot)
        self.reference.apply(slot, value)
        self.digests.append(_digest(self.digests[-1], value))
        self.through = slot

    def counted(self, slot: int, ballot: Ballot) -> bool:
        """Whether a quorum of the voters that decide ``slot`` has it on disk in ``ballot``."""
        config = self.config(slot)
        return config is not None and config.decides(self._votes.get((slot, ballot), ()))

    def proposal(self, slot: int, ballot: Ballot) -> Value | None:
        """The value that ``ballot`` proposed for ``slot``."""
        return self._proposed.get((slot, ballot))

    def has_voted(self, node: int, slot: int, ballot: Ballot) -> bool:
        """Whether ``node`` ever had ``slot`` on disk in ``ballot``."""
        return node in self._votes.get((slot, ballot), ())


def _digest(before: bytes, value: Value) -> bytes:
    """The digest of the log that ends with ``value``, written in the plainest form."""
    text = before
    for batch in value.batches:
        text += pack(">IQQQI", batch.node, batch.incarnation, batch.boot, batch.seq, len(batch.blob))
        text += pack(">I", crc32(batch.blob)) if len(batch.blob) > 2048 else batch.blob
    return blake2b(text, digest_size=16, salt=pack(">Q", value.time)).digest()
