"""The donor: sends the durable state of its node to peers that need a snapshot, chunk by chunk.

It answers requests and does nothing by itself, so the receiver sets the pace. It keeps the last chunk of each transfer,
for a request that comes again. Invariants: all chunks of a transfer are read through one view; few transfers are served
at a time, and one of each peer; what the view and the log are held for ends when the peer is silent for too long. See
the package for the whole story.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from dkv import noted
from dkv.actor import LEARNER, Address, StateView, Turn
from dkv.configurations import Configurations
from dkv.events import HoldLog, MembersAre, TimerFired
from dkv.paxos.known_members import KnownMembers
from dkv.paxos.snapshots.chunks import checksum_after, pairs_bytes
from dkv.settings import Limits, Timings
from dkv.state_messages import SnapshotChunk, SnapshotRefused, SnapshotRequest, SnapshotTaken, Transfer

DonorMessage = SnapshotRequest | SnapshotTaken | MembersAre | TimerFired

TIMER = "silence"
LOOKS = 4
"""How often within the time that a peer may be silent the donor looks for silent peers: one may be so much longer."""

BUSY = "it sends as many snapshots as it may"
STRANGER = "it does not know the node as a member"
NOT_UNDER_WAY = "it knows nothing of this transfer any more"


@dataclass(slots=True)
class _Outgoing:
    """One transfer to ``receiver``. Times are monotonic seconds; the log behind slot ``held_through`` is kept for it.

    ``answer`` is the last chunk that was sent; a view that is closed gives no more of them.
    """

    receiver: int
    view: StateView
    answer: SnapshotChunk
    held_through: int
    heard_at: float
    size: int = 0
    last_key: bytes = b""
    open: bool = True

    @property
    def at_first_chunk(self) -> bool:
        """Whether the peer has not asked for more than the first chunk yet."""
        return self.open and self.answer.chunk <= 0

    def next_chunk(self, bytes_max: int) -> None:
        """Read on: the next chunk is the answer from now on."""
        before = self.answer
        pairs = tuple(self.view.read(self.last_key, bytes_max))
        if pairs:
            self.last_key = pairs[-1][0]
        self.size += pairs_bytes(pairs)
        checksum = checksum_after(before.checksum, pairs)
        self.answer = SnapshotChunk(before.transfer, before.chunk + 1, before.through, pairs, checksum)

    def close(self) -> None:
        """The view has been read to its end, or nobody wants more of it."""
        self.open = False
        self.view.close()


class SnapshotDonor:
    """The donor of node ``node``."""

    def __init__(self, node: int, configurations: Configurations, limits: Limits, timings: Timings) -> None:
        self._node = node
        self._members = KnownMembers(node, configurations)
        # Half of it: with the lengths that the encoding adds, the smallest pairs take twice their bytes.
        self._bytes_max = limits.snapshot_chunk_bytes_max // 2
        self._sent_max = limits.snapshots_sent_max
        self._silence_seconds = timings.snapshot_silence_seconds
        self._transfers: dict[Transfer, _Outgoing] = {}
        self._newest: dict[int, Transfer] = {}  # of each peer, the last transfer that it began here
        self._in_vain: set[int] = set()
        """Peers that began again and again though a first chunk was sent to them: perhaps nothing arrives there."""
        self._held_through: int | None = None

    def start(self, turn: Turn) -> None:
        """Nothing to load: a transfer that a restart interrupts is begun again by its receiver."""

    def receive(self, turn: Turn, sender: Address, message: DonorMessage) -> None:
        """React to one message."""
        match message:
            case SnapshotRequest():
                self._on_request(turn, sender, message)
            case SnapshotTaken():
                self._on_taken(turn, message)
            case MembersAre():
                self._members.update(message)
            case TimerFired():
                self._on_silence(turn)
            case _:
                assert_never(message)

    def _on_request(self, turn: Turn, sender: Address, message: SnapshotRequest) -> None:
        """A peer wants the next chunk, or the last one again, which was lost."""
        if sender.node not in self._members.contacts:
            # It was removed, or this node is behind the slot that adds it: another donor may know it.
            turn.send(sender, SnapshotRefused(message.transfer, STRANGER))
            return
        newest = self._newest.get(sender.node, (0, 0))
        if message.transfer < newest:
            return  # Late: that peer has begun another transfer since.
        outgoing = self._transfers.get(message.transfer)
        if outgoing is None:
            under_way_before = message.chunk > 0 or message.transfer == newest
            refusal = NOT_UNDER_WAY if under_way_before else self._too_many(sender.node)
            if refusal is not None:
                turn.send(sender, SnapshotRefused(message.transfer, refusal))
                return
            outgoing = self._begin(turn, sender.node, message.transfer)
        outgoing.heard_at = turn.now
        if message.chunk == outgoing.answer.chunk + 1 and outgoing.open:
            if message.chunk > 0:
                self._in_vain.discard(sender.node)
            outgoing.next_chunk(self._bytes_max)
            if not outgoing.answer.pairs:
                outgoing.close()
        if message.chunk == outgoing.answer.chunk:  # Another number is that of a request which came late.
            turn.send(sender, outgoing.answer)

    def _too_many(self, receiver: int) -> str | None:
        """Why another transfer cannot begin now, in words; None if it can."""
        others = [each for each in self._transfers.values() if each.receiver != receiver and not self._gives_way(each)]
        return BUSY if len(others) >= self._sent_max else None

    def _gives_way(self, outgoing: _Outgoing) -> bool:
        """Whether another peer may take its place: a peer that hears nothing of this node would keep it for ever."""
        return outgoing.at_first_chunk and outgoing.receiver in self._in_vain

    def _begin(self, turn: Turn, receiver: int, transfer: Transfer) -> _Outgoing:
        """Open a view for a new transfer; an earlier one to the same peer is over."""
        for earlier, outgoing in list(self._transfers.items()):
            if outgoing.receiver == receiver:
                if outgoing.at_first_chunk:
                    self._in_vain.add(receiver)
                self._end(turn, earlier, "the peer began another one")
        for earlier, outgoing in list(self._transfers.items()):
            if len(self._transfers) >= self._sent_max and self._gives_way(outgoing):
                self._end(turn, earlier, "another peer needs its place")
        view = turn.states.view()
        through = view.applied_through
        outgoing = _Outgoing(receiver, view, SnapshotChunk(transfer, -1, through, (), 0), through, turn.now)
        if not self._transfers:
            turn.set_timer(TIMER, self._silence_seconds / LOOKS)
        self._transfers[transfer] = outgoing
        self._newest[receiver] = transfer
        turn.note(noted.snapshot_sending, peer=receiver, through=through)
        self._hold(turn)
        return outgoing

    def _on_taken(self, turn: Turn, message: SnapshotTaken) -> None:
        """The snapshot is in force there. What follows it comes from the log, which must not be compacted meanwhile."""
        outgoing = self._transfers.get(message.transfer)
        if outgoing is None:
            return  # It was silent for too long, and what it needs may be gone.
        outgoing.close()
        outgoing.heard_at = turn.now
        outgoing.held_through = max(outgoing.held_through, message.through)
        self._hold(turn)

    def _on_silence(self, turn: Turn) -> None:
        """End what nobody has asked about for too long: a view keeps overwritten data on disk, and a hold the log."""
        for transfer, outgoing in list(self._transfers.items()):
            if turn.now - outgoing.heard_at >= self._silence_seconds:
                self._end(turn, transfer, "the peer is silent" if outgoing.open else "done")
        if self._transfers:
            turn.set_timer(TIMER, self._silence_seconds / LOOKS)

    def _end(self, turn: Turn, transfer: Transfer, reason: str) -> None:
        outgoing = self._transfers.pop(transfer)
        outgoing.close()
        turn.note(noted.snapshot_sent, peer=outgoing.receiver, bytes=outgoing.size, reason=reason)
        self._hold(turn)

    def _hold(self, turn: Turn) -> None:
        """Tell the learner behind which slot the log must stay whole, if that has changed.

        The log may have been compacted up to a slot behind the view's a moment ago. Then the snapshot was in vain, and
        the receiver will find that out and ask for another.
        """
        through = min((outgoing.held_through for outgoing in self._transfers.values()), default=None)
        if through != self._held_through:
            self._held_through = through
            turn.send(Address(self._node, LEARNER), HoldLog(through))
