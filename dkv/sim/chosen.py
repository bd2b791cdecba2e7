"""The agreement of the cluster, seen from outside: votes counted on disks, and a second state machine.

Nothing here asks an actor what it believes. A value is chosen for a slot when a quorum of acceptors has had it on disk
in one ballot. ``Reference`` applies the chosen values by rules that are written a second time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from hashlib import blake2b
from struct import pack
from zlib import crc32

from dkv.ballot import Ballot
from dkv.keys import BATCH_MARK, DATABASE, STATE
from dkv.kv.commands import APPEND, DELETE, IDMP, IDMP_NEW, IDMP_REPEAT, PUT
from dkv.kv.sessions import Bounds
from dkv.paxos.quorum import is_quorum
from dkv.records import Batch, UncheckedEntry, Value
from dkv.replies import OK, Error, Result
from dkv.sim.tokens import TokenTable
from dkv.wire.codec import decode_entries


class Chosen:
    """Votes by slot and ballot; ``values`` and ``ballots`` of the chosen slots; all up to ``through`` are chosen."""

    def __init__(self, members: tuple[int, ...], bounds: Bounds) -> None:
        self.values: dict[int, Value] = {}
        self.ballots: dict[int, Ballot] = {}
        self.batches: dict[tuple[int, int, int, int], int] = {}
        """The first slot in which each batch is chosen, by (node, incarnation, boot, seq)."""
        self.through = 0
        self.reference = Reference(bounds)
        self.digests = [bytes(16)]
        """The digest of the log up to each slot, by slot; 0 is the empty log."""
        self._members = members
        self._proposed: dict[tuple[int, Ballot], Value] = {}
        self._blobs: dict[tuple[int, int, int, int], bytes] = {}
        self._votes: defaultdict[tuple[int, Ballot], set[int]] = defaultdict(set)

    def proposed(self, slot: int, ballot: Ballot, value: Value) -> str | None:
        """``ballot`` proposes ``value``: returns what is wrong with that, if anything."""
        if self._proposed.setdefault((slot, ballot), value) != value:
            return f"ballot {ballot} proposed two values for slot {slot}"
        for batch in value:
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
        votes = self._votes[slot, ballot]
        votes.add(node)
        if not is_quorum(votes, self._members):
            return None
        if slot not in self.values:
            self._choose(slot, ballot, value)
        elif self.values[slot] != value:
            return f"slot {slot} has two chosen values, of ballots {self.ballots[slot]} and {ballot}"
        return None

    def _choose(self, slot: int, ballot: Ballot, value: Value) -> None:
        self.values[slot], self.ballots[slot] = value, ballot
        for batch in value:
            name = (batch.node, batch.incarnation, batch.boot, batch.seq)
            self.batches[name] = min(slot, self.batches.get(name, slot))
        while self.through + 1 in self.values:
            self.through += 1
            self.reference.apply(self.through, self.values[self.through])
            self.digests.append(_digest(self.digests[-1], self.values[self.through]))

    def counted(self, slot: int, ballot: Ballot) -> bool:
        """Whether a quorum has ``slot`` on disk in ``ballot``."""
        return is_quorum(self._votes.get((slot, ballot), ()), self._members)

    def proposal(self, slot: int, ballot: Ballot) -> Value | None:
        """The value that ``ballot`` proposed for ``slot``."""
        return self._proposed.get((slot, ballot))

    def has_voted(self, node: int, slot: int, ballot: Ballot) -> bool:
        """Whether ``node`` ever had ``slot`` on disk in ``ballot``."""
        return node in self._votes.get((slot, ballot), ())


def _digest(before: bytes, value: Value) -> bytes:
    """The digest of the log that ends with ``value``, written in the plainest form."""
    text = before
    for batch in value:
        text += pack(">IQQQI", batch.node, batch.incarnation, batch.boot, batch.seq, len(batch.blob))
        text += pack(">I", crc32(batch.blob)) if len(batch.blob) > 2048 else batch.blob
    return blake2b(text, digest_size=16).digest()


class Reference:
    """The state on disk after every slot, as each replica must have it once it has applied that far."""

    def __init__(self, bounds: Bounds) -> None:
        self._marks: dict[tuple[int, int], tuple[int, int]] = {}
        self._slots: defaultdict[bytes, list[int]] = defaultdict(list)
        self._values: defaultdict[bytes, list[bytes | None]] = defaultdict(list)
        self._slot = self._index = 0
        self._tokens = TokenTable(bounds, self._write)
        self.executions = self._tokens.executions
        """Every execution of a write with a token, by (producer, op)."""
        self.evicted = self._tokens.evicted
        """The producers that were forgotten at least once."""

    def state_at(self, slot: int) -> dict[bytes, bytes]:
        """Every stored key and value of the state once all slots up to ``slot`` are applied."""
        state = {}
        for key, slots in self._slots.items():
            index = bisect_right(slots, slot) - 1
            value = self._values[key][index] if index >= 0 else None
            if value is not None:
                state[key] = value
        return state

    def apply(self, slot: int, value: Value) -> None:
        """Apply the next slot."""
        self._slot = slot
        self._index = 0
        for batch in value:
            if self._is_next(batch):
                self._marks[batch.node, batch.incarnation] = (batch.boot, batch.seq)
                origin = BATCH_MARK + pack(">IQ", batch.node, batch.incarnation)
                self._write(origin, pack(">QQ", batch.boot, batch.seq))
                for entry in decode_entries(batch.blob) or []:
                    self._apply_entry(entry)
                    self._index += 1

    def _is_next(self, batch: Batch) -> bool:
        boot, seq = self._marks.get((batch.node, batch.incarnation), (0, 0))
        return (batch.boot == boot and batch.seq == seq + 1) or (batch.boot > boot and batch.seq == 1)

    def _apply_entry(self, entry: UncheckedEntry) -> Result:
        match entry:
            case [kind, bytes() as key, bytes() as value] if kind == PUT:
                self._set(key, value)
                return OK
            case [kind, bytes() as key, bytes() as suffix, int() as bytes_max] if kind == APPEND:
                value = (self._get(key) or b"") + suffix
                if len(value) > bytes_max:
                    return Error(f"ERR the value would have {len(value)} bytes, limits.value_bytes_max is {bytes_max}")
                self._set(key, value)
                return len(value)
            case [kind, *keys] if kind == DELETE:
                held = [key for key in dict.fromkeys(keys) if isinstance(key, bytes) and self._get(key) is not None]
                for key in held:
                    self._set(key, None)
                return len(held)
            case [kind, bytes() as name, int() as op, [*write]] if kind == IDMP:
                self._tokens.judge(self._slot, name, op, write, lambda: self._apply_entry(write))
            case [kind, bytes() as name, int(), bytes()] if kind == IDMP_REPEAT:
                self._tokens.look_up(self._slot, name)
            case [kind] if kind == IDMP_NEW:
                self._tokens.register(self._slot)
        return None

    def _get(self, key: bytes) -> bytes | None:
        values = self._values.get(STATE + DATABASE + key)
        stored = values[-1] if values else None
        return None if stored is None else stored[13:]

    def _set(self, key: bytes, value: bytes | None) -> None:
        stored = None if value is None else pack(">BQI", 0, self._slot, self._index) + value
        self._write(STATE + DATABASE + key, stored)

    def _write(self, key: bytes, value: bytes | None) -> None:
        self._slots[key].append(self._slot)
        self._values[key].append(value)
