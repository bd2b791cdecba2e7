"""The proposer in classic mode: both phases for one slot after the other (Paxos Made Simple, section 2.2).

It proposes its own node's batches alone, and no-ops while a change of members waits (``Filling``)::

    IDLE --batches--> ASKING --Origins--> RESERVING --own promise, on disk--> PREPARING --quorum--> ACCEPTING
      ^                 ^                                                                              |quorum
      |                 +---in a while------ WAITING <--refused                                        v
      +-------nothing left-------- the own acceptor says that the slot is settled <---------------- SETTLING

The slot is the one after those that its own acceptor holds as chosen. Invariants: its own acceptor has promised (slot,
ballot), on disk, before a peer hears of it (I5, B3); nothing is proposed before a quorum promised *this* ballot for
*this* slot, and then the strongest value that it reported (I6, B4, B31); a slot is called chosen when a quorum of
acceptors has said that it accepted it in this ballot (B2, B23). A quorum is one of the set that decides the slot: the
proposer takes it when the learner has applied all slots before, which is more than that set follows from.

Nobody leads, so several proposers may want one slot. Two rules keep them from overtaking each other for ever (section
2.4 of the paper says why they could). A proposer that finds another at work in the slot waits, for a random and growing
time, before it takes a higher round. And one that has lost slots to others begins the next one in a round higher by as
many, so that all have their turn (ADR 0004).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import assert_never

from dkv import noted
from dkv.actor import ACCEPTOR, LEARNER, Address, Turn
from dkv.ballot import ZERO, Ballot
from dkv.configurations import Configuration, ConfigurationForgotten, Configurations
from dkv.events import CaughtUp, Due, MembersAre, Origins, PeerUp, PromiseRaised, ReportOrigins, TimerFired
from dkv.messages import (
    AcceptedSlot,
    AcceptSlot,
    NackSlot,
    PrepareSlot,
    PromiseSlot,
    SlotChosen,
    SlotSettled,
    Submit,
)
from dkv.paxos.backoff import backoff
from dkv.paxos.batch_queue import BatchQueue, slot_bytes_max
from dkv.paxos.classic.filling import Filling
from dkv.paxos.classic.patience import Patience
from dkv.paxos.known_members import KnownMembers
from dkv.paxos.lead_time import reached
from dkv.paxos.strongest import strongest
from dkv.records import NOOP, STAMP_MAX, Batch, SlotRecord, Value
from dkv.settings import Limits, Timings

ClassicProposerMessage = (
    AcceptedSlot
    | PromiseSlot
    | Submit
    | Origins
    | SlotSettled
    | NackSlot
    | CaughtUp
    | Due
    | MembersAre
    | PromiseRaised
    | PeerUp
    | TimerFired
)


NOBODY = Configuration(0, 0, frozenset())
"""The set of a slot of which none is known: it decides nothing."""


class SlotStep(Enum):
    """How far the work on the slot has come; see the picture above."""

    IDLE = auto()
    ASKING = auto()
    RESERVING = auto()
    PREPARING = auto()
    ACCEPTING = auto()
    SETTLING = auto()
    WAITING = auto()
    BEHIND = auto()


@dataclass(slots=True)
class _Try:
    """What came of one ballot in one slot, which ``configuration`` decides.

    ``promises`` has the record that each acceptor reported, None if it held nothing. ``refused`` and ``accepted_by``
    are the nodes that refused the ballot, and that accepted ``value`` in it, standbys among them. ``sent_times`` counts
    how often it was asked. ``clocks`` are those of the acceptors that have promised, in milliseconds ahead of this
    node's monotonic clock, and ``time`` is the latest time that a quorum of them has reached, as one of these.
    """

    configuration: Configuration = NOBODY
    promises: dict[int, SlotRecord | None] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    accepted_by: set[int] = field(default_factory=set)
    value: Value = NOOP
    sent_times: int = 1
    clocks: dict[int, float] = field(default_factory=dict)
    time: float = 0.0


class ClassicProposer:
    """The proposer of node ``node`` of a cluster in classic mode."""

    def __init__(self, node: int, configurations: Configurations, limits: Limits, timings: Timings) -> None:
        self._node = node
        self._members = KnownMembers(node, configurations)
        self._filling = Filling(node, timings.heartbeat_seconds)
        self._slot_bytes_max = slot_bytes_max(limits)
        self._timings = timings
        self._patience = Patience()
        self._batches: dict[tuple[int, int], Batch] = {}  # of this node, by boot and seq, not known to be applied
        self._marks: tuple[tuple[int, int, int, int], ...] = ()
        self._applied_time = 0
        self._floor = ZERO  # the highest promise for every slot that was met
        self._step = SlotStep.IDLE
        self._known_through = 0  # all up to there is chosen, says a peer
        self._slot = 1
        self._begin_slot(1)

    def _begin_slot(self, slot: int) -> None:
        """Set what belongs to one slot."""
        self._slot = slot
        self._met = ZERO  # the highest ballot met in the slot
        self._ballot = ZERO
        self._try = _Try()

    def start(self, turn: Turn) -> None:
        """Nothing is kept on disk: the acceptor says what it has promised."""

    def receive(self, turn: Turn, sender: Address, message: ClassicProposerMessage) -> None:
        """React to one message."""
        match message:
            case AcceptedSlot():
                self._on_accepted_slot(turn, sender, message)
            case PromiseSlot():
                self._on_promise_slot(turn, sender, message)
            case Submit():
                self._on_submit(turn, sender, message)
            case Origins():
                self._on_origins(turn, message)
            case SlotSettled():
                self._on_slot_settled(turn, sender, message)
            case NackSlot():
                self._on_nack_slot(turn, sender, message)
            case CaughtUp():
                if self._step is SlotStep.BEHIND and message.chosen_through >= self._known_through:
                    self._settled(turn, message.chosen_through)
            case Due():
                self._filling.due(turn, self._members, message)
            case PromiseRaised():
                self._floor = max(self._floor, message.ballot)
            case PeerUp():
                self._retransmit(turn, (message.node,))
            case MembersAre():
                self._members.update(message)
                self._filling.update(turn, self._members)
            case TimerFired():
                self._on_timer(turn, message)
            case _:
                assert_never(message)

    # --- what to propose ---

    def _on_submit(self, turn: Turn, sender: Address, message: Submit) -> None:
        """The own gateway has batches: begin with the next slot, if no work is under way."""
        for batch in message.batches:
            if batch.node != self._node or sender.node != self._node:
                # Two proposers with one batch could have it chosen in two slots, for nothing.
                turn.note(noted.foreign_batch_refused, origin=batch.node, peer=sender.node)
                return
            self._batches[batch.boot, batch.seq] = batch
        if self._step is SlotStep.IDLE:
            self._ask(turn)

    def _ask(self, turn: Turn) -> None:
        """Take a ballot above all that were met, and ask the learner what is applied: nothing is proposed twice."""
        lowest = max(self._floor.round + self._patience.rank, self._met.round, self._ballot.round)
        self._ballot = Ballot(lowest + 1, self._node)
        self._step = SlotStep.ASKING
        self._try = _Try()
        turn.cancel_timer("again")
        turn.cancel_timer("retransmit")
        turn.send(Address(self._node, LEARNER), ReportOrigins(self._ballot, self._slot - 1))

    def _on_origins(self, turn: Turn, message: Origins) -> None:
        """The learner says what is applied: forget those batches, and reserve the ballot if any is left."""
        if self._step is not SlotStep.ASKING or message.ballot != self._ballot:
            return  # An answer to an earlier question: this ballot is another one, for another slot perhaps.
        if message.through < self._slot - 1:
            return  # The same ballot, in an earlier slot. The set that decides this one may not be known yet (R3).
        self._marks = message.marks
        self._applied_time = message.time
        self._filling.applied(turn, self._members, message.time)
        applied = BatchQueue(message.marks)
        self._batches = {number: batch for number, batch in self._batches.items() if not applied.took(batch)}
        if self._members.configurations.was_removed(self._node, self._members.applied):
            self._batches.clear()  # No slot that is still open takes them.
        if not self._own_value().batches and not self._filling.wanted:
            self._step, self._ballot = SlotStep.IDLE, ZERO
            return
        self._try.configuration = self._deciding()
        self._step = SlotStep.RESERVING
        self._patience.begin(turn.now)
        turn.send(self._acceptor(self._node), PrepareSlot(self._ballot, self._slot))

    def _deciding(self) -> Configuration:
        """The set that decides the slot; all slots before it are applied. Nobody, if it is settled since long ago."""
        try:
            return self._members.of(self._slot)
        except ConfigurationForgotten:
            return NOBODY

    def _own_value(self) -> Value:
        """As many of the own batches as are next and fit; the no-op if none is."""
        queue = BatchQueue(self._marks)
        for number in sorted(self._batches):
            queue.take(self._batches[number])
        return queue.next_value(self._slot_bytes_max) if queue else NOOP

    # --- phase 1 ---

    def _on_promise_slot(self, turn: Turn, sender: Address, message: PromiseSlot) -> None:
        """Phase 1b: an acceptor promises the slot, and says what it accepted there. The own one comes first (B3)."""
        if (message.ballot, message.slot) != (self._ballot, self._slot):
            return  # Of an earlier ballot: what was accepted since is missing in it (B4).
        if self._step is SlotStep.RESERVING and sender.node == self._node:
            self._step = SlotStep.PREPARING
            prepare = PrepareSlot(self._ballot, self._slot)
            for node in self._members.others:
                turn.send(self._acceptor(node), prepare)
            turn.set_timer("retransmit", self._timings.retransmit_seconds)
        if self._step is SlotStep.PREPARING:
            self._try.promises[sender.node] = message.record
            self._try.clocks[sender.node] = message.clock - turn.now * 1000
            if self._try.configuration.decides(self._try.promises):
                self._propose(turn)

    def _propose(self, turn: Turn) -> None:
        """Propose the strongest value that anybody reported, with its stamp; the own one if nobody did.

        Where the slot's set does not have this node, learners would skip its batches.
        """
        held = strongest([record for record in self._try.promises.values() if record is not None])
        own = self._own_value() if self._node in self._try.configuration.members else NOOP
        time = reached(self._try.clocks, self._try.configuration)
        assert time is not None, "a quorum has promised"
        self._try.time = time
        self._try.value = Value(own.batches, self._clock(turn)) if held is None else held.value
        self._step = SlotStep.ACCEPTING
        self._try.sent_times = 1
        turn.note(noted.proposed)
        self._tell_all(turn, AcceptSlot(self._ballot, self._slot, self._try.value, self._clock(turn)))
        turn.set_timer("retransmit", self._timings.retransmit_seconds)

    def _clock(self, turn: Turn) -> int:
        """What time it is: the latest time that a quorum of clocks has reached, and never before the state's."""
        return min(max(int(turn.now * 1000 + self._try.time), self._applied_time), STAMP_MAX)

    # --- phase 2 ---

    def _on_accepted_slot(self, turn: Turn, sender: Address, message: AcceptedSlot) -> None:
        """Phase 2b: an acceptor has the value on its disk. With a quorum in one ballot it is chosen: tell everybody."""
        if self._step is not SlotStep.ACCEPTING or (message.ballot, message.slot) != (self._ballot, self._slot):
            return  # Votes of two ballots make no quorum: the acceptor may hold another value by now.
        self._try.accepted_by.add(sender.node)
        if not self._try.configuration.decides(self._try.accepted_by):
            return
        self._step = SlotStep.SETTLING
        self._tell_all(turn, SlotChosen(self._ballot, self._slot))
        turn.cancel_timer("retransmit")
        turn.set_timer("again", self._timings.retransmit_seconds)

    # --- settled, or in the way of others ---

    def _on_slot_settled(self, turn: Turn, sender: Address, message: SlotSettled) -> None:
        """The slot is chosen, with whatever value: go on behind it, once the own acceptor holds it too."""
        if message.slot != self._slot:
            return  # Of a slot that is behind this node.
        if sender.node == self._node:
            if message.chosen_through >= self._slot:
                self._settled(turn, message.chosen_through)
        elif self._step in (SlotStep.PREPARING, SlotStep.ACCEPTING):
            # The own acceptor hears of it soon, or fetches it; then it says so.
            self._known_through = max(self._known_through, message.chosen_through)
            self._wait(turn, SlotStep.BEHIND, self._timings.retransmit_seconds + self._patience.wait(turn.random))

    def _settled(self, turn: Turn, through: int) -> None:
        """Go on behind ``through``, which the own acceptor holds."""
        self._filling.settled(won=self._step is SlotStep.SETTLING)
        if self._step is SlotStep.SETTLING:
            self._patience.won(turn.now)
            for batch in self._try.value.batches:
                if batch.node == self._node:
                    self._batches.pop((batch.boot, batch.seq), None)
        elif self._step in (SlotStep.PREPARING, SlotStep.ACCEPTING, SlotStep.WAITING):
            self._patience.lost()
        self._begin_slot(through + 1)
        if not self._batches and not self._filling.wanted:
            self._step = SlotStep.IDLE
            turn.cancel_timer("again")
            turn.cancel_timer("retransmit")
        elif self._known_through > through:
            self._wait(turn, SlotStep.BEHIND, self._timings.retransmit_seconds)
        else:
            self._ask(turn)

    def _on_nack_slot(self, turn: Turn, sender: Address, message: NackSlot) -> None:
        """An acceptor has promised the slot to a higher ballot: somebody else is, or was, at work there."""
        self._floor = max(self._floor, message.floor)
        if (message.ballot, message.slot) != (self._ballot, self._slot):
            return  # An earlier ballot was refused, and is given up.
        if self._step not in (SlotStep.RESERVING, SlotStep.PREPARING, SlotStep.ACCEPTING):
            return  # A quorum has accepted it all the same, or it is given up.
        if sender.node in self._try.refused:
            return  # It was asked again: that must not put off what its first refusal has set going.
        self._met = max(self._met, message.promised)
        voters = self._try.configuration.voters
        if self._step is not SlotStep.RESERVING and sender.node not in voters:
            return  # Nobody waits for a standby's vote.
        self._try.refused.add(sender.node)
        enough = self._try.configuration.decides(voters - self._try.refused)
        if self._step is not SlotStep.RESERVING and enough:
            turn.set_timer("again", self._patience.wait(turn.random))  # The others make a quorum, unless they are dead.
        elif message.promised.node == self._node or message.promised == message.floor:
            self._ask(turn)  # Nobody is at work: an earlier life was, or a leader before the mode was switched.
        else:
            self._wait(turn, SlotStep.WAITING, self._patience.wait(turn.random))

    def _wait(self, turn: Turn, step: SlotStep, seconds: float) -> None:
        self._step = step
        turn.cancel_timer("retransmit")
        turn.set_timer("again", seconds)

    # --- time ---

    def _on_timer(self, turn: Turn, message: TimerFired) -> None:
        """The patience with others is over, or messages may be lost."""
        if message.name == "again":
            if self._step is not SlotStep.IDLE:
                self._ask(turn)
        elif message.name in ("fill", "due"):
            self._filling.look(turn, message.name, idle=self._step is SlotStep.IDLE)
            if self._step is SlotStep.IDLE:
                self._ask(turn)
        elif self._step in (SlotStep.PREPARING, SlotStep.ACCEPTING):
            self._retransmit(turn, self._members.others)
            self._try.sent_times += 1
            turn.set_timer("retransmit", self._timings.retransmit_seconds * backoff(self._try.sent_times))

    def _retransmit(self, turn: Turn, nodes: Iterable[int]) -> None:
        """Send again what other nodes have not answered; within the node nothing is lost."""
        prepare = PrepareSlot(self._ballot, self._slot)
        accept = AcceptSlot(self._ballot, self._slot, self._try.value, self._clock(turn))
        for node in sorted(set(nodes) - {self._node}):
            if self._step is SlotStep.PREPARING and node not in self._try.promises:
                turn.send(self._acceptor(node), prepare)
            elif self._step is SlotStep.ACCEPTING and node not in self._try.accepted_by:
                turn.send(self._acceptor(node), accept)

    def _tell_all(self, turn: Turn, message: AcceptSlot | SlotChosen) -> None:
        for node in sorted({self._node, *self._members.others}):
            turn.send(self._acceptor(node), message)

    def _acceptor(self, node: int) -> Address:
        return Address(node, ACCEPTOR)
