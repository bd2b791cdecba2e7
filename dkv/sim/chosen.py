"""The agreement of the cluster, seen from outside: votes counted on disks, and a second state machine.

Nothing here asks an actor what it believes. A value is chosen for a slot when a quorum of the voters that decide the
slot has had it on disk in one ballot. Who decides it is known once all up to ALPHA slots before are chosen: votes that
come earlier wait. ``Reference`` applies the chosen values by rules that are written a second time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b
from struct import pack
from zlib import crc32

from dkv import configurations
from dkv.ballot import Ballot
from dkv.configurations import Configuration
from dkv.keys import BATCH_MARK, CONFIGURATIONS, DATABASE, DATABASES_KEY, STATE, TIME, TOMBSTONE
from dkv.kv.codes import APPEND, DELETE, IDMP, IDMP_NEW, IDMP_REPEAT, MEMBERS, PUT
from dkv.kv.sessions import Bounds
from dkv.records import Batch, UncheckedEntry, Value
from dkv.replies import OK, Error, Result
from dkv.sim.member_rules import MemberTable
from dkv.sim.tokens import TokenTable
from dkv.wire.codec import decode_entries


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


def _origin_key(node: int, incarnation: int) -> bytes:
    return BATCH_MARK + pack(">IQ", node, incarnation)


class Reference:
    """The state on disk after every slot, as each replica must have it once it has applied that far."""

    def __init__(self, bounds: Bounds, members: MemberTable) -> None:
        self._members = members
        self._marks: dict[tuple[int, int], tuple[int, int]] = {}
        self._slots: defaultdict[bytes, list[int]] = defaultdict(list)
        self._values: defaultdict[bytes, list[bytes | None]] = defaultdict(list)
        self._slot = self._index = 0
        self._keys = self._time = 0
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
        """Apply the next slot. Only members write, and nothing is left of one from the slot on that it is none in."""
        self._slot = slot
        self._index = 0
        if value.time > self._time:
            self._time = value.time
            self._write(TIME, pack(">Q", self._time))
        origins = self._members.config(slot).members
        for node, incarnation in [origin for origin in self._marks if origin[0] not in origins]:
            del self._marks[node, incarnation]
            self._write(_origin_key(node, incarnation), None)
        for batch in value.batches:
            if batch.node in origins and self._is_next(batch):
                self._marks[batch.node, batch.incarnation] = (batch.boot, batch.seq)
                self._write(_origin_key(batch.node, batch.incarnation), pack(">QQ", batch.boot, batch.seq))
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
                    if self._time:
                        bucket = blake2b(DATABASE + key, digest_size=2).digest()
                        self._write(TOMBSTONE + bucket, pack(">Q", self._slot))
                return len(held)
            case [kind, bytes() as name, int() as op, [*write]] if kind == IDMP:
                self._tokens.judge(self._slot, name, op, write, lambda: self._apply_entry(write))
            case [kind, bytes() as name, int(), bytes()] if kind == IDMP_REPEAT:
                self._tokens.look_up(self._slot, name)
            case [kind] if kind == IDMP_NEW:
                self._tokens.register(self._slot)
            case [kind, *change] if kind == MEMBERS:
                if self._members.apply(self._slot, change):
                    self._write(CONFIGURATIONS, self._members.stored())
        return None

    def _get(self, key: bytes) -> bytes | None:
        values = self._values.get(STATE + DATABASE + key)
        stored = values[-1] if values else None
        return None if stored is None else stored[13:]

    def _set(self, key: bytes, value: bytes | None) -> None:
        stored = None if value is None else pack(">BQI", 0, self._slot, self._index) + value
        self._keys += (value is not None) - (self._get(key) is not None)
        self._write(STATE + DATABASE + key, stored)
        self._write(DATABASES_KEY, pack(">BBBQQQ", 1, 0, 0, self._keys, 0, 0) if self._keys else None)

    def _write(self, key: bytes, value: bytes | None) -> None:
        self._slots[key].append(self._slot)
        self._values[key].append(value)
