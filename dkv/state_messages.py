"""The messages by which nodes catch up with each other, and compare what they hold (``dkv.messages``)."""

from __future__ import annotations

from dataclasses import dataclass

from dkv.records import Value

# --- Catch-up --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadChosen:
    """Send chosen slots from ``from_slot`` on, as many as fit a bounded answer."""

    from_slot: int


@dataclass(frozen=True, slots=True)
class ChosenSlots:
    """The chosen ``values`` of the slots from ``first_slot`` on; the sender knows them up to ``chosen_through``.

    Also how an acceptor pushes newly chosen slots to the learner of its own node.
    """

    first_slot: int
    values: tuple[Value, ...]
    chosen_through: int


@dataclass(frozen=True, slots=True)
class CompactedThrough:
    """The slots asked for are chosen, and the sender has erased their values: those of every slot up to ``through``."""

    through: int


@dataclass(frozen=True, slots=True)
class AppliedDigest:
    """The sender has applied every slot up to ``through``; this log has ``digest`` (``dkv.records.digest_after``)."""

    through: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class StateCheck:
    """The sender begins a check: make a digest of your state as it is after ``slot``, if you can."""

    slot: int


@dataclass(frozen=True, slots=True)
class StateDigest:
    """The sender's whole state after ``slot``, on its disk, has ``digest``, and so many pairs (``dkv.state_sum``)."""

    slot: int
    digest: bytes
    count: int


# --- Snapshots: the state of a peer, for a node that lacks slots which no log holds any more ---------------------

Transfer = tuple[int, int]
"""The name of one transfer of a snapshot, for the two nodes that it concerns.

It is the boot of the receiver and the number of the transfer within it, so later transfers are greater.
"""


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """Send me chunk number ``chunk`` of this transfer, counted from 0. The one before it is on my disk."""

    transfer: Transfer
    chunk: int


@dataclass(frozen=True, slots=True)
class SnapshotChunk:
    """The next ``pairs`` of the state as it was after slot ``through``, in the order of the keys; none at the end.

    ``checksum`` covers all pairs of this chunk and of those before it (``dkv.paxos.snapshots.chunks``).
    """

    transfer: Transfer
    chunk: int
    through: int
    pairs: tuple[tuple[bytes, bytes], ...]
    checksum: int


@dataclass(frozen=True, slots=True)
class SnapshotRefused:
    """No chunk of this transfer comes from here: ``reason`` says why, in words. Ask another node, or later."""

    transfer: Transfer
    reason: str


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """The snapshot is in force here. Keep the slots behind ``through`` in your log: I fetch them from there."""

    transfer: Transfer
    through: int
