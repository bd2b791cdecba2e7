"""Catch-up: fetch from peers the chosen slots that this node missed.

There is one bounded request at a time. The next one follows when the last answer is on this node's disk, so the disk
sets the pace. When a peer does not help, another one is asked (B17), and one that comes back is asked at once. A gap
first gets a moment to close by itself, as most do: the missing Accept is only late.

A peer may have compacted the slots that are asked for. When all others have done so too, or do not help, catch-up asks
the receiver of its node for a snapshot, waits for it, and goes on behind it. A node that joins does so at once.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import assert_never

from dkv import noted
from dkv.actor import ACCEPTOR, PROPOSER, RECEIVER, Address, Turn
from dkv.configurations import Configurations
from dkv.events import (
    CatchUp,
    CaughtUp,
    FetchSnapshot,
    Learn,
    Learned,
    MembersAre,
    Missing,
    PeerUp,
    SnapshotFetched,
    TimerFired,
)
from dkv.paxos.sources import Sources
from dkv.settings import Timings
from dkv.state_messages import ChosenSlots, CompactedThrough, ReadChosen

DOUBLINGS_MAX = 3
"""How often the time allowed for an answer is doubled. A slow answer asked of several peers comes several times."""

_FromThisNode = Missing | CatchUp | Learned | SnapshotFetched | MembersAre
CatchupMessage = _FromThisNode | ChosenSlots | CompactedThrough | PeerUp | TimerFired


class Catchup:
    """The catch-up of node ``node``; ``hints`` are the peers of a node that joins (``Sources``)."""

    def __init__(
        self, node: int, configurations: Configurations, timings: Timings, hints: Collection[int] = ()
    ) -> None:
        self._node = node
        self._sources = Sources(node, configurations, hints)
        self._timings = timings
        self._next_slot = 1  # the first slot not held here, as last heard from the acceptor
        self._target = 0
        self._peer = 0
        self._fetching = False
        self._retries = 0  # since the last answer that helped
        self._asked_slot = 0  # 0: no request is under way
        self._stored_slot = 0  # where the last answer given to the acceptor begins
        self._noticed_slot = 0  # 0: no gap is being given its moment
        self._fetched_from = 0
        self._of_no_help: set[int] = set()  # peers that were asked for this slot and did not send it
        self._compacted_at: set[int] = set()  # those that have compacted the slot
        self._receiving = False  # a snapshot is on its way
        self._behind_snapshot = False  # what is fetched follows a snapshot, and its donor keeps it until then

    def start(self, turn: Turn) -> None:
        """Nothing to load: the acceptor says what is missing."""

    def receive(self, turn: Turn, sender: Address, message: CatchupMessage) -> None:
        """React to one message."""
        match message:
            case Missing():
                self._on_missing(turn, message)
            case CatchUp():
                self._on_catch_up(turn, message)
            case ChosenSlots():
                self._on_chosen_slots(turn, sender, message)
            case CompactedThrough():
                self._on_compacted_through(turn, sender, message)
            case Learned():
                self._on_learned(turn, message)
            case SnapshotFetched():
                self._on_snapshot_fetched(turn, message)
            case PeerUp():
                self._on_peer_up(turn, message)
            case MembersAre():
                self._sources.update(message)
            case TimerFired():
                self._on_timer(turn, message)
            case _:
                assert_never(message)

    def _on_missing(self, turn: Turn, message: Missing) -> None:
        """The acceptor knows of chosen slots whose values it does not hold, or that it holds them by now."""
        self._next_slot = max(self._next_slot, message.first)
        self._target = max(self._target, message.through)
        if self._receiving:
            return  # The snapshot is waited for, whatever becomes of the gap.
        if self._next_slot > self._target:
            self._finish(turn)
        elif not self._fetching and self._noticed_slot == 0:
            self._noticed_slot = self._next_slot
            if message.node != self._node:
                self._peer = message.node
            turn.set_timer("grace", self._timings.catchup_grace_seconds)

    def _on_catch_up(self, turn: Turn, message: CatchUp) -> None:
        """The node's proposer waits before it leads: ask at once, and first the node that reported the mark."""
        self._next_slot = max(self._next_slot, message.first)  # A start knows of none: peers may have compacted slot 1.
        self._target = max(self._target, message.through)
        if not self._receiving:
            self._peer = message.node
            self._begin(turn)

    def _on_timer(self, turn: Turn, message: TimerFired) -> None:
        """The gap has had its moment, or the peer its time to answer."""
        if message.name == "grace" and not self._fetching:
            noticed, self._noticed_slot = self._noticed_slot, 0
            if self._next_slot > self._target:
                return
            if self._next_slot > noticed:
                # That gap has closed. The one behind it is new, and gets a moment of its own.
                self._noticed_slot = self._next_slot
                turn.set_timer("grace", self._timings.catchup_grace_seconds)
            else:
                self._begin(turn)
        elif message.name == "retry" and self._fetching:
            self._retries += 1
            self._ask_another(turn)

    def _begin(self, turn: Turn) -> None:
        if not self._fetching:
            self._fetching = True
            self._fetched_from = self._next_slot
            turn.note(noted.catchup_started, from_slot=self._next_slot, through=self._target, peer=self._peer)
        self._ask(turn)

    def _ask(self, turn: Turn) -> None:
        if self._peer not in self._sources.peers:
            self._peer = self._sources.after(self._peer)
        self._asked_slot = self._next_slot
        if self._peer:  # The only member of all has nobody to ask: the timer looks again.
            turn.send(Address(self._peer, ACCEPTOR), ReadChosen(self._next_slot))
        turn.set_timer("retry", self._timings.catchup_retry_seconds * 2 ** min(self._retries, DOUBLINGS_MAX))

    def _ask_another(self, turn: Turn) -> None:
        """This peer did not help: turn to the next one, or to a snapshot if no log of the others has the slot.

        A node that joins does not try them all. Some of the peers in its config file may be gone for good.
        """
        self._of_no_help.add(self._peer)
        all_asked = self._of_no_help.issuperset(self._sources.peers)
        if self._compacted_at and (all_asked or not self._sources.of_a_member):
            self._fetch_snapshot(turn)
        else:
            self._peer = self._sources.after(self._peer)
            self._ask(turn)

    def _on_peer_up(self, turn: Turn, message: PeerUp) -> None:
        """A peer is connected: while those that were asked did not answer, the time allowed for that has grown long."""
        if self._fetching and self._retries and message.node in self._sources.peers:
            self._retries = 0
            self._of_no_help.discard(message.node)
            self._peer = message.node
            self._ask(turn)

    def _on_chosen_slots(self, turn: Turn, sender: Address, message: ChosenSlots) -> None:
        """A peer answers: the acceptor stores the values before anything else counts them."""
        if self._asked_slot == 0 or message.first_slot != self._asked_slot:
            return  # An answer to an earlier request: what it holds is here by now.
        if not message.values:
            return  # This peer cannot help; the retry timer turns to another.
        self._peer = sender.node  # Also one that was given up: a large answer takes longer on a slow link.
        self._helped()
        self._asked_slot = 0
        self._stored_slot = message.first_slot
        self._target = max(self._target, message.chosen_through)
        turn.send(Address(self._node, ACCEPTOR), Learn(message.first_slot, message.values))
        turn.set_timer("retry", self._timings.catchup_retry_seconds)

    def _helped(self) -> None:
        self._retries = 0
        self._of_no_help.clear()
        self._compacted_at.clear()

    def _on_learned(self, turn: Turn, message: Learned) -> None:
        """The values are on disk: tell the proposer, which may wait for them, and ask for what follows."""
        helped = message.chosen_through >= self._stored_slot
        self._next_slot = max(self._next_slot, message.chosen_through + 1)
        turn.send(Address(self._node, PROPOSER), CaughtUp(message.chosen_through))
        if self._behind_snapshot:
            turn.send(Address(self._node, RECEIVER), CaughtUp(message.chosen_through))
        if not self._fetching or self._receiving:
            return  # A disk was so slow that the snapshot was asked for before it answered.
        if not helped:
            return  # What did not help here is not asked for again at once; the retry timer turns to another peer.
        if self._next_slot > self._target:
            self._finish(turn)
        else:
            self._ask(turn)

    # --- snapshots ---

    def _on_compacted_through(self, turn: Turn, sender: Address, message: CompactedThrough) -> None:
        """A peer has given up the slot that is asked for: another one may hold it still."""
        if not 0 < self._asked_slot <= message.through:
            return  # An answer to an earlier request.
        self._compacted_at.add(sender.node)
        if sender.node == self._peer:
            self._ask_another(turn)  # If that peer was given up, the next one was asked then.

    def _fetch_snapshot(self, turn: Turn) -> None:
        """Only the state of a peer tells what the missing slots did."""
        self._receiving, self._behind_snapshot = True, False
        self._asked_slot = 0
        turn.cancel_timer("retry")
        turn.send(Address(self._node, RECEIVER), FetchSnapshot(self._next_slot, frozenset(self._compacted_at)))
        self._helped()

    def _on_snapshot_fetched(self, turn: Turn, message: SnapshotFetched) -> None:
        """A snapshot has taken the place of the slots up to its own: go on behind it, with its donor first."""
        self._receiving, self._behind_snapshot = False, True
        self._peer = message.donor
        self._next_slot = max(self._next_slot, message.through + 1)
        if self._next_slot > self._target:
            self._finish(turn)
        else:
            self._begin(turn)

    def _finish(self, turn: Turn) -> None:
        self._noticed_slot = 0
        self._behind_snapshot = False
        if not self._fetching:
            return
        self._fetching = False
        self._asked_slot = 0
        turn.cancel_timer("retry")
        turn.note(noted.catchup_ended, slots=self._next_slot - self._fetched_from, chosen_through=self._next_slot - 1)
