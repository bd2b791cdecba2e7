"""Which of the values that acceptors report for a slot a proposer must propose there (Paxos Made Simple, 2.2, P2c)."""

from __future__ import annotations

from collections.abc import Iterable

from dkv.ballot import Ballot
from dkv.records import SlotRecord


def strongest(records: Iterable[SlotRecord]) -> SlotRecord | None:
    """The strongest of the records that a quorum reported for one slot; None if there are none.

    A value that was chosen in some ballot is in the reports of every quorum, and every later ballot has proposed that
    value and no other. So the value of the highest ballot is the one to propose (B31): it may be chosen already. A
    record that says "chosen" is stronger than any ballot, as a value that was learned keeps the slot's old, low ballot
    (B26).
    """
    return max(records, key=_strength, default=None)


def _strength(record: SlotRecord) -> tuple[bool, Ballot]:
    return record.chosen, record.ballot
