"""An acceptor's disk as its commits tell it: the invariants compare the acceptor's messages with this."""

from __future__ import annotations

from dkv.ballot import ZERO, Ballot
from dkv.keys import (
    APPLIED_THROUGH,
    CHOSEN_THROUGH,
    COMPACTED,
    PROMISE,
    RECORD,
    SLOT_BALLOT,
    SLOT_PROMISE,
    slot_of,
    unpack_ballot,
    unpack_compacted,
    unpack_number,
)
from dkv.records import SlotRecord, unpack_record
from dkv.storage.store import Store


def ballot_of(stored: bytes | None) -> Ballot:
    """The ballot stored; zero where nothing is."""
    return ZERO if stored is None else Ballot(*unpack_ballot(stored))


class OnDisk:
    """Promises, records and marks of one acceptor."""

    def __init__(self) -> None:
        self.promised = ZERO
        """The ballot promised for every slot."""
        self.voted = ZERO
        """The highest ballot of a vote in leader mode: voting promises, too."""
        self.slot_promises: dict[int, Ballot] = {}
        """In classic mode, the promises for open slots."""
        self.slot_ballot = ZERO
        """The highest ballot promised or voted for in any slot in classic mode."""
        self.records: dict[int, SlotRecord] = {}
        self.chosen_through = 0
        self.applied_through = 0
        self.compacted_through = 0
        self.erased_through = self.erased_before = 0
        """The highest slot whose record was erased, and the same as it was before the last commit."""

    @classmethod
    def of(cls, store: Store, state: Store) -> OnDisk:
        """The acceptor's part of a disk that was set back: its log, and its state."""
        disk = cls()
        disk.promised = ballot_of(store.get(PROMISE))
        disk.slot_promises = {slot_of(key): ballot_of(stored) for key, stored in store.scan(SLOT_PROMISE)}
        disk.slot_ballot = ballot_of(store.get(SLOT_BALLOT))
        disk.records = {slot_of(key): unpack_record(stored) for key, stored in store.scan(RECORD)}
        disk.chosen_through = unpack_number(store.get(CHOSEN_THROUGH))
        disk.compacted_through, _ = unpack_compacted(store.get(COMPACTED))
        disk.applied_through = unpack_number(state.get(APPLIED_THROUGH))
        return disk

    @property
    def settled_through(self) -> int:
        """All up to this slot is known chosen, by either mark: a slot that is compacted was chosen before."""
        return max(self.chosen_through, self.compacted_through)

    def bound(self, slot: int, classic: bool) -> Ballot:
        """The ballot below which there is no vote for ``slot``, in classic mode or not."""
        if classic:
            return max(self.promised, self.voted, self.slot_promises.get(slot, ZERO))
        return max(self.promised, self.voted, self.slot_ballot)

    def has_promised(self, slot: int, ballot: Ballot) -> bool:
        """Whether ``ballot`` is promised for ``slot``, or the slot is accepted in it or above, or is known chosen."""
        record = self.records.get(slot)
        voted = ZERO if record is None else record.ballot
        return slot <= self.settled_through or max(self.bound(slot, True), voted) >= ballot
