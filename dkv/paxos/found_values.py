"""What acceptors had accepted in the slots that a leader has not proposed yet (Paxos Made Simple, section 2.2, P2c)."""

from __future__ import annotations

from collections.abc import Iterable

from dkv.paxos.strongest import strongest
from dkv.records import NOOP, SlotRecord, Value


class FoundValues:
    """The records that Promises reported, by slot. ``through`` is the highest slot of them, or the base of phase 1.

    The value of a slot is looked up when it is proposed.
    """

    def __init__(self, base: int) -> None:
        self.through = base
        self._strongest: dict[int, SlotRecord] = {}

    def add(self, records: Iterable[tuple[int, SlotRecord]], next_slot: int) -> None:
        """Count a report, for the slots from ``next_slot`` on: those below have their value in this ballot (I3)."""
        for slot, record in records:
            if slot >= next_slot:
                held = self._strongest.get(slot)
                found = strongest((record,) if held is None else (held, record))
                assert found is not None, "the strongest of one or two records"
                self._strongest[slot] = found
                self.through = max(self.through, slot)

    def take(self, slot: int) -> Value:
        """The value to propose in ``slot``, which is ``through`` or below: the strongest that was reported there.

        A slot that nobody in the quorum reported has no chosen value, and gets a no-op: the slots above it cannot be
        applied before it has one (section 3).
        """
        record = self._strongest.pop(slot, None)
        return NOOP if record is None else record.value
