"""The receiver: fetches the state of a peer when catch-up finds that no log holds the slots that are missing here.

::

    IDLE --FetchSnapshot--> ASKING --chunk--> WRITING --on disk--> (PAUSING) --> ASKING ...
      ^                       | no answer, refused, wrong: the next donor; after the last of them RESTING
      |                       +--the chunk without pairs--> INSTALLING
      +---------- Installed, or Outdated --------------------------+

Invariants: a transfer has one donor and one generation, and what is given up is never gone on with; one request is
under way at a time; a chunk is on disk before the next one is asked for; the learner is asked to put the generation in
force only when all chunks are on disk and the checksum that runs through them is right. See the package for the whole
story.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import assert_never

from dkv import noted
from dkv.actor import CATCHUP, DONOR, LEARNER, Address, Turn
from dkv.client_events import LeaderIs
from dkv.configurations import Configurations
from dkv.events import (
    CaughtUp,
    FetchSnapshot,
    Install,
    Installed,
    MembersAre,
    Outdated,
    PeerUp,
    SnapshotFetched,
    StateWritten,
    TimerFired,
)
from dkv.identity import Identity
from dkv.paxos.snapshots.chunks import ChunkCheck, pairs_bytes
from dkv.paxos.sources import Sources
from dkv.settings import Limits, Timings
from dkv.state_messages import SnapshotChunk, SnapshotRefused, SnapshotRequest, SnapshotTaken, Transfer

_FromThisNode = FetchSnapshot | StateWritten | Installed | Outdated | CaughtUp | LeaderIs | MembersAre
ReceiverMessage = SnapshotChunk | SnapshotRefused | _FromThisNode | PeerUp | TimerFired

TIMER = "snapshot"


class Activity(Enum):
    """What the receiver does; see the picture above."""

    IDLE = auto()
    ASKING = auto()
    WRITING = auto()
    PAUSING = auto()
    INSTALLING = auto()
    RESTING = auto()


@dataclass(slots=True)
class _Incoming:
    """One transfer from ``donor``. Times are monotonic seconds.

    ``chunk`` is the number that is asked for next, or was asked for at ``asked_at`` first. ``generation`` is 0 until
    the first chunk has come.
    """

    transfer: Transfer = (0, 0)
    donor: int = 0
    generation: int = 0
    chunk: int = 0
    asked_at: float = 0.0
    size: int = 0
    pause_seconds: float = 0.0
    check: ChunkCheck = field(default_factory=ChunkCheck)


class SnapshotReceiver:
    """The receiver of the node that ``identity`` names; ``hints`` are the peers of a node that joins (``Sources``)."""

    def __init__(
        self,
        identity: Identity,
        configurations: Configurations,
        limits: Limits,
        timings: Timings,
        hints: Collection[int] = (),
    ) -> None:
        self._identity = identity
        self._sources = Sources(identity.node, configurations, hints)
        self._bytes_per_second = limits.snapshot_bytes_per_second
        self._retry_seconds = timings.catchup_retry_seconds
        self._silence_seconds = timings.snapshot_silence_seconds
        self._activity = Activity.IDLE
        self._first = 0  # the snapshot must go through this slot
        self._living = frozenset[int]()  # peers that have answered catch-up
        self._leader = 0
        self._donors: list[int] = []  # those that were not asked in this round
        self._begun = 0  # how many transfers were begun in this life
        self._incoming = _Incoming()

    def start(self, turn: Turn) -> None:
        """Nothing to load: what a transfer has left on disk was erased at the start of the node."""

    def receive(self, turn: Turn, sender: Address, message: ReceiverMessage) -> None:
        """React to one message."""
        match message:
            case SnapshotChunk():
                self._on_chunk(turn, message)
            case StateWritten():
                self._on_state_written(turn, message)
            case SnapshotRefused():
                self._on_refused(turn, message)
            case FetchSnapshot():
                self._on_fetch(turn, message)
            case Installed():
                self._on_installed(turn, message)
            case Outdated():
                self._end(turn, "all of it was applied here meanwhile")
                self._tell_catchup(turn, self._incoming.check.through)
            case CaughtUp():
                self._send(turn, SnapshotTaken(self._incoming.transfer, message.chosen_through))
            case LeaderIs():
                self._leader = message.node
            case PeerUp():
                self._on_peer_up(turn, message)
            case MembersAre():
                self._sources.update(message)
            case TimerFired():
                self._on_timer(turn)
            case _:
                assert_never(message)

    # --- donors ---

    def _on_fetch(self, turn: Turn, message: FetchSnapshot) -> None:
        """No log holds what catch-up needs."""
        assert self._activity is Activity.IDLE, "catch-up waits for one snapshot at a time"
        self._first, self._living = message.first, message.compacted_at
        self._begin_round(turn)

    def _begin_round(self, turn: Turn) -> None:
        """Ask one peer after the other. The leader has most to do, so it comes last of the voters.

        But those that have just answered come first: others may be dead for good, and each of them costs a while.
        """
        self._donors = sorted(self._sources.peers, key=self._place)
        self._next_donor(turn)

    def _place(self, node: int) -> tuple[bool, bool, bool, bool, int]:
        silent = node not in self._living
        return silent, self._sources.is_standby(node), node == self._leader, node < self._identity.node, node

    def _next_donor(self, turn: Turn) -> None:
        """Begin a transfer with the next donor; if none is left, begin with the first one again in a while."""
        if not self._donors:
            self._activity = Activity.RESTING
            turn.set_timer(TIMER, self._retry_seconds)
            return
        self._begun += 1
        self._incoming = _Incoming((self._identity.boot, self._begun), self._donors.pop(0))
        self._ask(turn)

    def _on_peer_up(self, turn: Turn, message: PeerUp) -> None:
        """A peer is connected: it is the next donor, and a pause is over."""
        node, seeks = message.node, self._activity in (Activity.ASKING, Activity.RESTING)
        if seeks and node in self._sources.peers:
            self._donors = [node, *(each for each in self._donors if each != node)]
            if self._activity is Activity.RESTING:
                self._next_donor(turn)

    def _ask(self, turn: Turn) -> None:
        self._activity = Activity.ASKING
        self._incoming.asked_at = turn.now
        self._send_request(turn)

    def _send_request(self, turn: Turn) -> None:
        self._send(turn, SnapshotRequest(self._incoming.transfer, self._incoming.chunk))
        turn.set_timer(TIMER, self._retry_seconds)

    def _send(self, turn: Turn, message: SnapshotRequest | SnapshotTaken) -> None:
        turn.send(Address(self._incoming.donor, DONOR), message)

    # --- chunks ---

    def _on_chunk(self, turn: Turn, message: SnapshotChunk) -> None:
        """The donor answers: write the chunk, and ask for the next one when it is on disk."""
        incoming = self._incoming
        asked_for = self._activity is Activity.ASKING and message.chunk == incoming.chunk
        if not asked_for or message.transfer != incoming.transfer:
            return  # Of a transfer that was given up, or a repeat.
        complaint = incoming.check.complaint(message)
        if complaint is None and incoming.check.through < self._first:
            complaint = f"its state ends at slot {message.through}, and slot {self._first} is missing here"
        if complaint is not None:
            self._give_up(turn, f"chunk {message.chunk} was not taken: {complaint}")
            return
        if incoming.generation == 0:
            incoming.generation = turn.states.begin()
            turn.note(noted.snapshot_receiving, peer=incoming.donor, through=message.through)
        incoming.chunk += 1
        if not message.pairs:
            self._activity = Activity.INSTALLING
            turn.cancel_timer(TIMER)
            turn.send(self._here(LEARNER), Install(incoming.generation, incoming.check.through))
            return
        self._activity = Activity.WRITING
        turn.cancel_timer(TIMER)
        size = pairs_bytes(message.pairs)
        incoming.size += size
        # No longer than a request may take: the donor must not think that nobody is there.
        incoming.pause_seconds = min(size / self._bytes_per_second, self._retry_seconds)
        turn.note(noted.snapshot_progress, bytes=size)
        turn.states.write(incoming.generation, dict(message.pairs))

    def _on_state_written(self, turn: Turn, message: StateWritten) -> None:
        """The chunk is on disk. The byte rate says when the next one may be asked for."""
        incoming = self._incoming
        if self._activity is not Activity.WRITING or message.generation != incoming.generation:
            return
        wait = incoming.asked_at + incoming.pause_seconds - turn.now
        if wait > 0:
            self._activity = Activity.PAUSING
            turn.set_timer(TIMER, wait)
        else:
            self._ask(turn)

    # --- ends ---

    def _on_refused(self, turn: Turn, message: SnapshotRefused) -> None:
        """The donor is busy, or was started again and knows nothing of the transfer."""
        if message.transfer == self._incoming.transfer and self._activity is Activity.ASKING:
            self._give_up(turn, f"refused: {message.reason}")

    def _on_timer(self, turn: Turn) -> None:
        """A pause is over, or a message was lost, or the donor is dead."""
        match self._activity:
            case Activity.RESTING:
                self._begin_round(turn)
            case Activity.PAUSING:
                self._ask(turn)
            case Activity.ASKING if self._donor_is_silent(turn.now):
                self._give_up(turn, "no answer")
            case Activity.ASKING:
                self._send_request(turn)

    def _donor_is_silent(self, now: float) -> bool:
        """Whether to wait no longer; one that has given nothing yet is not waited for at all."""
        incoming = self._incoming
        return incoming.chunk == 0 or now - incoming.asked_at >= self._silence_seconds

    def _give_up(self, turn: Turn, reason: str) -> None:
        """Take nothing more of this transfer. Another donor's snapshot is of another moment: it begins from nothing."""
        self._end(turn, reason)
        if self._incoming.generation:
            turn.states.abandon(self._incoming.generation)
        self._next_donor(turn)

    def _end(self, turn: Turn, reason: str) -> None:
        incoming = self._incoming
        turn.note(noted.snapshot_received, peer=incoming.donor, bytes=incoming.size, reason=reason)

    def _on_installed(self, turn: Turn, message: Installed) -> None:
        """The snapshot is in force, on disk. Its donor keeps what follows it until catch-up has fetched that."""
        self._end(turn, "in force")
        self._send(turn, SnapshotTaken(self._incoming.transfer, message.through))
        self._tell_catchup(turn, message.through)

    def _tell_catchup(self, turn: Turn, through: int) -> None:
        self._activity = Activity.IDLE
        turn.send(self._here(CATCHUP), SnapshotFetched(through, self._incoming.donor))

    def _here(self, role: str) -> Address:
        return Address(self._identity.node, role)
