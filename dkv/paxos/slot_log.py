"""The acceptor's log: the record of each slot, and through which slot all of them are chosen.

Invariants, across restarts (I7, I8):

- a record's ballot never falls, and a chosen record's value never changes;
- ``chosen_through`` never falls, and every slot up to it has a record whose value is chosen;
- a mark covers a slot only if this acceptor accepted the slot in the mark's own ballot, or learned its value;
- ``compacted_through`` never falls, and is never above ``chosen_through``. The records up to there are erased, or will
  be: nothing is read from them any more, and nobody is told that these slots are empty (B13).
"""

from __future__ import annotations

from dataclasses import dataclass

from dkv.actor import Turn
from dkv.ballot import ZERO, Ballot
from dkv.keys import (
    CHOSEN_THROUGH,
    COMPACTED,
    RECORD,
    pack_number,
    record_key,
    slot_of,
    unpack_compacted,
    unpack_number,
)
from dkv.paxos.erasures import Erasures
from dkv.records import SlotRecord, Value, pack_record, unpack_record, value_bytes

RECENT_BYTES_MAX = 8 << 20
"""How many bytes of the newest values stay in memory, for the learner and for peers that are slightly behind."""

APPLIED_BYTES_MAX = 32 << 10
"""How much the learner is given to apply in one turn: one slot, or small ones that are not larger together."""

SLOT_BYTES = 1 << 10
"""What a slot counts for beside its batches, where many are handed on: to apply or store one takes its time."""


@dataclass(frozen=True, slots=True)
class _Open:
    """What memory keeps of a record above ``chosen_through``: everything but the value."""

    ballot: Ballot
    chosen: bool


class SlotLog:
    """Records by slot, on disk through the turn, with the newest in memory too."""

    def __init__(self, erasures_max: int) -> None:
        self.erasures = Erasures(erasures_max)
        self.compacted_through = 0
        self.chosen_through = 0
        self._saved_through = 0
        self._mark_ballot = ZERO
        self._mark_through = 0
        self.marked_through = 0
        self._open: dict[int, _Open] = {}
        self._recent: dict[int, SlotRecord] = {}
        self._recent_bytes = 0

    def start(self, turn: Turn) -> None:
        """Read the marks and the records above them. What is compacted was chosen; the stored mark may be older."""
        self.compacted_through, _ = unpack_compacted(turn.load(COMPACTED))
        self._saved_through = unpack_number(turn.load(CHOSEN_THROUGH))
        self.chosen_through = max(self._saved_through, self.compacted_through)
        self.erasures.start(turn, self.compacted_through)
        for key, data in turn.scan(RECORD, record_key(self.chosen_through + 1)):
            record = unpack_record(data)
            self._open[slot_of(key)] = _Open(record.ballot, record.chosen)
        self._extend(turn)

    # --- reading ---

    def is_chosen(self, slot: int) -> bool:
        """Whether the slot's value is known here to be chosen."""
        if slot <= self.chosen_through:
            return True
        held = self._open.get(slot)
        return held is not None and held.chosen

    def accepted_in(self, slot: int) -> Ballot:
        """The ballot in which an open slot was accepted; zero if it was not."""
        held = self._open.get(slot)
        return ZERO if held is None else held.ballot

    def record(self, turn: Turn, slot: int) -> SlotRecord | None:
        """The slot's record, from memory or disk; None if it has none, or none any more."""
        recent = self._recent.get(slot)
        if recent is not None:
            return recent
        data = turn.load(record_key(slot))
        return None if data is None else unpack_record(data)

    def open_slots(self, from_slot: int) -> list[int]:
        """The slots that have a record, above ``chosen_through`` and from ``from_slot`` on, in order."""
        return sorted(slot for slot in self._open if slot >= from_slot)

    def chosen_values(self, turn: Turn, from_slot: int, bytes_max: int) -> tuple[Value, ...]:
        """The chosen values from ``from_slot`` on, as many as fit ``bytes_max`` bytes, but at least the first one.

        Each counts as ``SLOT_BYTES`` more than it has: a slot takes its time, even one without batches. ``from_slot``
        is above ``compacted_through``.
        """
        assert from_slot > self.compacted_through
        values: list[Value] = []
        size = 0
        for slot in range(from_slot, self.chosen_through + 1):
            record = self.record(turn, slot)
            assert record is not None, f"slot {slot} is below chosen_through {self.chosen_through} and has no record"
            size += SLOT_BYTES + value_bytes(record.value)
            if values and size > bytes_max:
                break
            values.append(record.value)
        return tuple(values)

    def values_to_apply(self, turn: Turn, from_slot: int) -> tuple[Value, ...]:
        """As ``chosen_values``: as many as the learner applies without a pause. It asks for the next ones."""
        return self.chosen_values(turn, from_slot, APPLIED_BYTES_MAX)

    # --- writing ---

    def accept(self, turn: Turn, slot: int, ballot: Ballot, value: Value) -> None:
        """Record that ``value`` was accepted for an open slot in ``ballot``. A slot that is chosen stays chosen."""
        assert slot > self.chosen_through and ballot >= self.accepted_in(slot)
        self._put(turn, slot, SlotRecord(ballot, value, self.is_chosen(slot)))

    def learn(self, turn: Turn, slot: int, value: Value) -> bool:
        """Record that ``value`` is chosen, and keep the ballot. False, and nothing done, if another value is chosen."""
        if slot <= self.compacted_through:
            return True  # What was chosen cannot be compared any more; digests of the log still can.
        if self.is_chosen(slot):
            record = self.record(turn, slot)
            return record is not None and record.value == value
        self._put(turn, slot, SlotRecord(self.accepted_in(slot), value, chosen=True))
        self._extend(turn)
        return True

    def mark(self, turn: Turn, ballot: Ballot, through: int) -> None:
        """The leader of ``ballot`` counted every slot up to ``through`` chosen: extend over what that covers here.

        It covers what was accepted here in that very ballot. What was accepted in an older one may be another value
        than the leader's: such a slot stays open, and is fetched from a peer (B14).
        """
        self.marked_through = max(self.marked_through, through)
        if (ballot, through) > (self._mark_ballot, self._mark_through):
            self._mark_ballot, self._mark_through = ballot, through
        self._extend(turn)

    def choose(self, turn: Turn, slot: int, value: Value) -> bool:
        """As ``learn``. Where ``value`` was accepted nothing is written, as for a mark: it is on disk already."""
        record = None if self.is_chosen(slot) else self.record(turn, slot)
        if record is None or record.value != value:
            return self.learn(turn, slot, value)
        self._open[slot] = _Open(record.ballot, True)
        self._extend(turn)
        return True

    def counted(self, ballot: Ballot, slot: int) -> bool:
        """Whether the leader of ``ballot`` is known here to have counted the slot chosen."""
        return ballot == self._mark_ballot and slot <= self._mark_through

    def hear_of(self, through: int) -> None:
        """A peer holds the chosen values of all slots up to ``through``: what is missing here can be fetched."""
        self.marked_through = max(self.marked_through, through)

    def applied(self, turn: Turn, through: int) -> None:
        """The state machine has applied everything up to ``through``, so it is chosen. The stored mark may be older."""
        for slot in range(self.chosen_through + 1, through + 1):
            self._open.pop(slot, None)
        if through > self.chosen_through:
            self.chosen_through = through
            turn.stage(CHOSEN_THROUGH, pack_number(through))
        self._extend(turn)

    def compact(self, turn: Turn, through: int) -> None:
        """What the slots up to ``through`` amount to is on disk, and so is the mark that says so: erase their records.

        If the state came from a peer, some of these slots may be open here, or have no record at all.
        """
        if through <= self.compacted_through:
            return
        self.erasures.add(self.compacted_through + 1, min(through, self.chosen_through))
        for slot in [slot for slot in self._open if slot <= through]:
            self.erasures.add(slot, slot)
            del self._open[slot]
        while self._recent and next(iter(self._recent)) <= through:
            self._recent_bytes -= value_bytes(self._recent.pop(next(iter(self._recent))).value)
        self.compacted_through = through
        if through > self.chosen_through:
            self.chosen_through = through
            turn.stage(CHOSEN_THROUGH, pack_number(through))
        self._extend(turn)

    def save_mark(self, turn: Turn) -> None:
        """Persist ``chosen_through`` if it grew. Called in turns that persist anyway, so that it costs no commit."""
        if self._saved_through < self.chosen_through:
            self._saved_through = self.chosen_through
            turn.persist(CHOSEN_THROUGH, pack_number(self.chosen_through))

    def _extend(self, turn: Turn) -> None:
        """Move ``chosen_through`` over the slots behind it that are known to be chosen, without a gap (I8)."""
        before = self.chosen_through
        while (held := self._open.get(self.chosen_through + 1)) is not None:
            covered = self.chosen_through < self._mark_through and held.ballot == self._mark_ballot
            if not (held.chosen or covered):
                break
            self.chosen_through += 1
            del self._open[self.chosen_through]
        if self.chosen_through > before:
            turn.stage(CHOSEN_THROUGH, pack_number(self.chosen_through))

    def _put(self, turn: Turn, slot: int, record: SlotRecord) -> None:
        self._open[slot] = _Open(record.ballot, record.chosen)
        turn.persist(record_key(slot), pack_record(record))
        replaced = self._recent.pop(slot, None)
        if replaced is not None:
            self._recent_bytes -= value_bytes(replaced.value)
        self._recent[slot] = record
        self._recent_bytes += value_bytes(record.value)
        while self._recent_bytes > RECENT_BYTES_MAX:
            oldest = next(iter(self._recent))
            self._recent_bytes -= value_bytes(self._recent.pop(oldest).value)
