"""What an acceptor has promised for single slots, in classic mode.

A promise stays on disk until its slot is chosen. The highest ballot that was promised or accepted in any slot stays for
good: a life in leader mode raises its one promise to that (B30, ADR 0004).
"""

from __future__ import annotations

from dkv.actor import Turn
from dkv.ballot import ZERO, Ballot
from dkv.keys import SLOT_BALLOT, SLOT_PROMISE, pack_ballot, slot_of, slot_promise_key, unpack_ballot


class SlotPromises:
    """Promises by open slot; none of them ever falls."""

    def __init__(self) -> None:
        self._promised: dict[int, Ballot] = {}
        self.highest = ZERO
        """The highest ballot promised or accepted in any slot, open or not."""

    def start(self, turn: Turn, chosen_through: int) -> None:
        """Read them back; those of slots chosen by now bind nobody."""
        for key, stored in turn.scan(SLOT_PROMISE):
            self._promised[slot_of(key)] = Ballot(*unpack_ballot(stored))
        stored_highest = turn.load(SLOT_BALLOT)
        if stored_highest is not None:
            self.highest = Ballot(*unpack_ballot(stored_highest))
        self.settle(turn, chosen_through)

    def of(self, slot: int) -> Ballot:
        """What is promised for ``slot`` by itself; zero if nothing."""
        return self._promised.get(slot, ZERO)

    def promise(self, turn: Turn, slot: int, ballot: Ballot) -> None:
        """Promise ``ballot`` for ``slot``."""
        assert ballot > self.of(slot)
        self._promised[slot] = ballot
        turn.persist(slot_promise_key(slot), pack_ballot(*ballot))
        self.accepted(turn, ballot)

    def accepted(self, turn: Turn, ballot: Ballot) -> None:
        """Some slot is accepted in ``ballot``, perhaps without a promise: its record is read only while it is open."""
        if ballot > self.highest:
            self.highest = ballot
            turn.persist(SLOT_BALLOT, pack_ballot(*ballot))

    def settle(self, turn: Turn, chosen_through: int) -> None:
        """Forget the promises of chosen slots, together with the mark that says that they are."""
        for slot in [slot for slot in self._promised if slot <= chosen_through]:
            del self._promised[slot]
            turn.stage_erase(slot_promise_key(slot))
