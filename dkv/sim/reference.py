"""The state machine a second time: what every replica must hold after each slot, and what its clients must be told.

It applies the chosen values by rules that are written a second time, in the plainest form: the commands, the keys and
databases (``dkv.sim.second_commands``, ``second_keys``), the tokens and the members.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from struct import pack

from dkv.keys import BATCH_MARK, CONFIGURATIONS, DATABASES_KEY, STATE, SUMMED, TIME, TOMBSTONE
from dkv.kv.codes import IDMP, IDMP_NEW, IDMP_REPEAT, MEMBERS
from dkv.kv.sessions import Bounds
from dkv.records import Batch, UncheckedEntry, Value
from dkv.sim.member_rules import MemberTable
from dkv.sim.second_commands import UNJUDGED, Judged, execute
from dkv.sim.second_keys import SecondKeys, keys_of
from dkv.sim.tokens import TokenTable
from dkv.wire.codec import decode_entries

OF_KEYS = frozenset((STATE, TIME, DATABASES_KEY, TOMBSTONE))
"""The first bytes of what is stored of the keys, beside the index of deadlines."""

SEEN_MAX = 50
"""The keys after so many slots are kept, as reads of several nodes find them."""

BatchName = tuple[int, int, int, int]
"""(node, incarnation, boot, seq) of a batch."""


def _origin_key(node: int, incarnation: int) -> bytes:
    return BATCH_MARK + pack(">IQ", node, incarnation)


class Reference:
    """The state on disk after every slot, as each replica must have it once it has applied that far."""

    def __init__(self, bounds: Bounds, members: MemberTable) -> None:
        self.results: dict[BatchName, list[Judged]] = {}
        """The result of each entry of every batch that took effect."""
        self.told: dict[int, list[tuple[bytes, int, bytes, bytes]]] = {}
        """The events of keys that each slot has, if it has any: the letters of the setting, db, event and key."""
        self._members = members
        self._marks: dict[tuple[int, int], tuple[int, int]] = {}
        self._slots: defaultdict[bytes, list[int]] = defaultdict(list)
        self._values: defaultdict[bytes, list[bytes | None]] = defaultdict(list)
        self._slot = 0
        self._seen: dict[int, SecondKeys] = {}
        self._keys = SecondKeys(self._write)
        self.flushes = self._keys.flushes_of_first
        """The slot of each flush that has taken keys from database 0."""
        self._tokens = TokenTable(bounds, self._write)
        self.executions = self._tokens.executions
        """Every execution of a write with a token, by (producer, op)."""
        self.evicted = self._tokens.evicted
        """The producers that were forgotten at least once."""

    def state_at(self, slot: int, prefixes: frozenset[bytes] = SUMMED) -> dict[bytes, bytes]:
        """Every stored key with one of the prefixes, and its value, once all slots up to ``slot`` are applied."""
        state = {}
        for key, slots in self._slots.items():
            if key[:1] not in prefixes:
                continue
            index = bisect_right(slots, slot) - 1
            value = self._values[key][index] if index >= 0 else None
            if value is not None:
                state[key] = value
        return state

    def keys_at(self, slot: int) -> SecondKeys:
        """The keys once all slots up to ``slot`` are applied, for reads."""
        if slot not in self._seen:
            while len(self._seen) >= SEEN_MAX:
                del self._seen[next(iter(self._seen))]
            self._seen[slot] = keys_of(self.state_at(slot, OF_KEYS), slot)
        return self._seen[slot]

    def apply(self, slot: int, value: Value) -> None:
        """Apply the next slot. Only members write, and nothing is left of one from the slot on that it is none in."""
        self._slot = slot
        self._keys.begin_slot(slot, value.time)
        origins = self._members.config(slot).members
        for node, incarnation in [origin for origin in self._marks if origin[0] not in origins]:
            del self._marks[node, incarnation]
            self._write(_origin_key(node, incarnation), None)
        for batch in value.batches:
            if batch.node in origins and self._is_next(batch):
                self._apply_batch(batch)
        self._keys.settle()
        told = [each for each in self._keys.told if any(way in each[0] for way in b"KE")]
        self._keys.told.clear()
        if told:
            self.told[slot] = told

    def _apply_batch(self, batch: Batch) -> None:
        self._marks[batch.node, batch.incarnation] = (batch.boot, batch.seq)
        self._write(_origin_key(batch.node, batch.incarnation), pack(">QQ", batch.boot, batch.seq))
        results: list[Judged] = []
        for entry in decode_entries(batch.blob) or []:
            results.append(self._apply_entry(entry))
            self._keys.index += 1
        self.results[batch.node, batch.incarnation, batch.boot, batch.seq] = results

    def _is_next(self, batch: Batch) -> bool:
        boot, seq = self._marks.get((batch.node, batch.incarnation), (0, 0))
        return (batch.boot == boot and batch.seq == seq + 1) or (batch.boot > boot and batch.seq == 1)

    def _apply_entry(self, entry: UncheckedEntry) -> Judged:
        match entry:
            case [kind, bytes() as name, int() as op, [*write]] if kind == IDMP:
                return self._tokens.judge(self._slot, name, op, write, lambda: execute(self._keys, write))
            case [kind, bytes() as name, int() as op, bytes() as check] if kind == IDMP_REPEAT:
                return self._tokens.look_up(self._slot, name, op, check)
            case [kind] if kind == IDMP_NEW:
                return self._tokens.register(self._slot)
            case [kind, *change] if kind == MEMBERS:
                if self._members.apply(self._slot, change):
                    self._write(CONFIGURATIONS, self._members.stored())
                return UNJUDGED
        judged: Judged = execute(self._keys, entry)
        return judged

    def _write(self, key: bytes, value: bytes | None) -> None:
        self._slots[key].append(self._slot)
        self._values[key].append(value)
