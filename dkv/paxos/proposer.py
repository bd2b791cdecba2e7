"""The proposer: runs phase 1 when told to, then leads (Paxos Made Simple, sections 2.2 and 3).

::

    IDLE --Campaign--> RESERVING --own Promise, on disk--> PREPARING --quorum of Promises--> CATCHING_UP --> LEADING

A higher ballot met anywhere leads back to IDLE. Invariants: a ballot's round exceeds every round this node durably
saw, and its own acceptor has it on disk before a peer hears of it (I5, B3); nothing is proposed before a quorum
promised *this* ballot (I6); ``chosen_through`` counts the base of phase 1 and then only slots for which this
proposer counted a quorum of Accepteds in this ballot (B25).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum, auto
from typing import assert_never

from dkv.actor import ACCEPTOR, CATCHUP, ELECTOR, LEARNER, PROPOSER, Address, Turn
from dkv.ballot import ZERO, Ballot
from dkv.events import (
    Campaign,
    CatchUp,
    CaughtUp,
    Flush,
    Leading,
    Origins,
    PeerUp,
    PromiseRaised,
    ReportOrigins,
    StepDown,
    Stopped,
    TimerFired,
)
from dkv.messages import (
    Accept,
    Accepted,
    Barrier,
    BarrierRequest,
    ChosenMark,
    ChosenOtherwise,
    Confirm,
    Confirmed,
    Nack,
    Prepare,
    Promise,
    Submit,
)
from dkv.paxos.batch_queue import BatchQueue
from dkv.paxos.chosen_marks import ChosenMarks
from dkv.paxos.promise_tally import PromiseTally
from dkv.paxos.quorum import is_quorum
from dkv.paxos.read_rounds import ReadRounds
from dkv.paxos.window import Window, backoff
from dkv.records import Value
from dkv.settings import Limits, Timings

_FromAcceptors = Accepted | Confirmed | Promise | Nack | ChosenOtherwise | PromiseRaised
_FromThisNode = Flush | Campaign | StepDown | CaughtUp | Origins
ProposerMessage = _FromAcceptors | _FromThisNode | Submit | BarrierRequest | PeerUp | TimerFired

EARLY_SUBMITS_MAX = 64
"""Submits kept while a new leader does not know yet what each origin's next batch is; origins resend the rest."""

MARK_SECONDS = 0.002
"""So long a node that waits for nothing may hear of chosen slots later, if no Accept tells it meanwhile."""


class Step(Enum):
    """How far the proposer has come on its way to lead; see the picture above."""

    IDLE = auto()
    RESERVING = auto()
    PREPARING = auto()
    CATCHING_UP = auto()
    LEADING = auto()


class Proposer:
    """One proposer of the cluster; ``node`` is its own id, ``members`` are all ids."""

    def __init__(self, node: int, members: Iterable[int], limits: Limits, timings: Timings) -> None:
        self._node = node
        self._members = tuple(sorted(members))
        self._others = tuple(member for member in self._members if member != node)
        self._limits = limits
        self._timings = timings
        self._highest = ZERO
        self._slot_bytes_max = min(limits.slot_bytes_max, limits.window_bytes_max // 2)
        self._ballot = ZERO
        self._step = Step.IDLE
        self._tally = PromiseTally(ZERO, self._members)
        self._held_through = 0
        self._begin_leadership(0)

    def _begin_leadership(self, base: int) -> None:
        """Set what belongs to one leadership, with everything up to ``base`` known chosen."""
        limits = self._limits
        self._window = Window(base, self._node, self._members, limits.window_slots_max, limits.window_bytes_max)
        self._marks = ChosenMarks(self._members)
        self._announcing = False
        self._recovered_through = base
        self._recovery: deque[Value] = deque()
        self._queue: BatchQueue | None = None
        self._early: list[tuple[Address, Submit]] = []
        self._rounds = ReadRounds()
        self._flushing = False

    def start(self, turn: Turn) -> None:
        """Nothing is kept on disk: the acceptor says at its start which ballot it has promised."""

    def receive(self, turn: Turn, sender: Address, message: ProposerMessage) -> None:
        """React to one message."""
        match message:
            case Accepted():
                self._on_accepted(turn, sender, message)
            case Submit():
                self._on_submit(turn, sender, message)
            case BarrierRequest():
                self._on_barrier_request(turn, sender, message)
            case Confirmed():
                self._on_confirmed(turn, sender, message)
            case Flush():
                self._on_flush(turn)
            case Promise():
                self._on_promise(turn, sender, message)
            case Nack():
                self._on_nack(turn, message)
            case ChosenOtherwise():
                self._on_chosen_otherwise(turn, message)
            case PromiseRaised():
                self._on_promise_raised(turn, message)
            case Campaign():
                self._on_campaign(turn)
            case CaughtUp():
                self._on_caught_up(turn, message)
            case Origins():
                self._on_origins(turn, message)
            case StepDown():
                self._stop(turn, self._ballot, message.reason)
            case PeerUp():
                self._on_peer_up(turn, message)
            case TimerFired():
                self._on_timer(turn, message)
            case _:
                assert_never(message)

    # --- phase 1 ---

    def _on_campaign(self, turn: Turn) -> None:
        if self._step is Step.IDLE:
            self._campaign(turn)

    def _campaign(self, turn: Turn) -> None:
        """Reserve a new ballot: the node's own acceptor has it on disk before anyone else hears of it."""
        self._ballot = self._highest = self._highest.above(self._node)
        self._step = Step.RESERVING
        self._tally = PromiseTally(self._ballot, self._members)
        turn.note("phase1_started", ballot=self._ballot)
        turn.send(self._acceptor(self._node), Prepare(self._ballot, 1))
        self._tally.began_at = turn.now
        turn.set_timer("retransmit", self._timings.retransmit_seconds)
        turn.set_timer("progress", self._timings.phase1_idle_seconds)

    def _on_promise(self, turn: Turn, sender: Address, message: Promise) -> None:
        if message.ballot != self._ballot or self._step not in (Step.RESERVING, Step.PREPARING):
            return
        self._tally.add(sender.node, message)
        turn.set_timer("progress", self._timings.phase1_idle_seconds)
        if self._step is Step.RESERVING and self._node in self._tally.reported():
            self._step = Step.PREPARING
            self._held_through = message.chosen_through
            for node in self._others:
                turn.send(self._acceptor(node), Prepare(self._ballot, self._held_through + 1))
        if self._step is Step.PREPARING and self._tally.complete():
            self._catch_up_or_lead(turn)

    def _catch_up_or_lead(self, turn: Turn) -> None:
        base, holder = self._tally.base()
        if base <= self._held_through:
            self._lead(turn, max(base, self._held_through))
            return
        self._step = Step.CATCHING_UP
        turn.send(Address(self._node, CATCHUP), CatchUp(base, holder))

    def _on_caught_up(self, turn: Turn, message: CaughtUp) -> None:
        held, self._held_through = self._held_through, max(self._held_through, message.chosen_through)
        if self._step is not Step.CATCHING_UP:
            return
        if self._held_through >= self._tally.base()[0]:
            self._lead(turn, self._held_through)
        elif self._held_through > held:
            turn.set_timer("progress", self._timings.phase1_idle_seconds)

    def _lead(self, turn: Turn, base: int) -> None:
        """Phase 1 and its catch-up are done: propose what it found, then what gateways send."""
        self._begin_leadership(base)
        self._step = Step.LEADING
        turn.cancel_timer("progress")
        self._recovery.extend(self._tally.choices(base))
        self._recovered_through = base + len(self._recovery)
        turn.note("leading", ballot=self._ballot, chosen_through=base, recovering=len(self._recovery))
        turn.send(Address(self._node, ELECTOR), Leading(self._ballot))
        turn.send(Address(self._node, LEARNER), ReportOrigins(self._ballot, self._recovered_through))
        turn.set_timer("retransmit", self._timings.retransmit_seconds)
        self._propose(turn)
        self._announce(turn, self._members)

    # --- phase 2 ---

    def _on_submit(self, turn: Turn, sender: Address, message: Submit) -> None:
        if self._step is not Step.LEADING:
            return  # Passing it on could go in circles; its gateway resends when it knows the leader.
        if self._queue is None:
            if len(self._early) < EARLY_SUBMITS_MAX:
                self._early.append((sender, message))
            return
        for batch in message.batches:
            if batch.node != sender.node:
                turn.note("foreign_batch_refused", origin=batch.node, peer=sender.node)
                return
            want = self._queue.take(batch)
            if want is not None:
                turn.send(sender, want)
                return
        self._flush_soon(turn)

    def _on_origins(self, turn: Turn, message: Origins) -> None:
        if self._step is not Step.LEADING or message.ballot != self._ballot or self._queue is not None:
            return
        self._queue = BatchQueue(message.marks)
        early, self._early = self._early, []
        for sender, submit in early:
            self._on_submit(turn, sender, submit)

    def _on_accepted(self, turn: Turn, sender: Address, message: Accepted) -> None:
        if self._step is not Step.LEADING or message.ballot != self._ballot:
            return
        if self._window.accepted(sender.node, message.slot):
            self._flush_soon(turn)

    def _flush_soon(self, turn: Turn) -> None:
        """Act once on all that is in the mailbox by now: one slot for many batches, one mark for many slots."""
        if not self._flushing:
            self._flushing = True
            turn.send(Address(self._node, PROPOSER), Flush())

    def _on_flush(self, turn: Turn) -> None:
        self._flushing = False
        if self._step is not Step.LEADING:
            return
        self._propose(turn)
        self._announce(turn, self._window.take_origins())
        if not self._announcing and self._marks.least < self._window.chosen_through:
            self._announcing = True
            turn.set_timer("announce", MARK_SECONDS)
        self._begin_round(turn)

    def _propose(self, turn: Turn) -> None:
        while self._window.has_room():
            if self._recovery:
                value = self._recovery.popleft()
            elif self._queue:
                value = self._queue.next_value(self._slot_bytes_max)
            else:
                return
            slot = self._window.propose(value, turn.now)
            turn.note("proposed")
            accept = Accept(self._ballot, slot, value, self._window.chosen_through)
            for node in self._members:
                turn.send(self._acceptor(node), accept)
            self._marks.tell(self._members, accept.chosen_through)

    def _announce(self, turn: Turn, nodes: Iterable[int]) -> None:
        """Tell those of the nodes the mark who were not told, by an Accept or by this."""
        mark = ChosenMark(self._ballot, self._window.chosen_through)
        for node in self._marks.tell(nodes, mark.chosen_through):
            turn.send(self._acceptor(node), mark)

    # --- read barriers ---

    def _on_barrier_request(self, turn: Turn, sender: Address, message: BarrierRequest) -> None:
        if self._step is not Step.LEADING:
            return
        self._rounds.request(sender, message)
        self._flush_soon(turn)

    def _begin_round(self, turn: Turn) -> None:
        """Ask the acceptors, this node's by message like the rest (B27), once everything recovered is chosen."""
        if self._window.chosen_through >= self._recovered_through and self._rounds.begin(turn.now):
            self._ask_confirmation(turn, self._members)

    def _ask_confirmation(self, turn: Turn, nodes: Iterable[int]) -> None:
        """Ask those who have not confirmed the round under way."""
        if self._rounds.under_way:
            confirm = Confirm(self._ballot, self._rounds.round)
            for node in sorted(set(nodes) - self._rounds.confirmed):
                turn.send(self._acceptor(node), confirm)

    def _on_confirmed(self, turn: Turn, sender: Address, message: Confirmed) -> None:
        rounds = self._rounds
        if self._step is not Step.LEADING or message != Confirmed(self._ballot, rounds.round):
            return
        rounds.confirmed.add(sender.node)
        if rounds.under_way and is_quorum(rounds.confirmed, self._members):
            for gateway, request in rounds.end():
                self._announce(turn, (gateway.node,))
                turn.send(gateway, Barrier(request.boot, request.number, self._window.chosen_through))
            self._begin_round(turn)

    # --- being overtaken, or stuck ---

    def _on_nack(self, turn: Turn, message: Nack) -> None:
        self._highest = max(self._highest, message.promised)
        if message.ballot == self._ballot and message.promised > self._ballot:
            self._stop(turn, message.promised, "an acceptor has promised a higher ballot")

    def _on_promise_raised(self, turn: Turn, message: PromiseRaised) -> None:
        self._highest = max(self._highest, message.ballot)
        if message.ballot > self._ballot:
            self._stop(turn, message.ballot, "this node's acceptor has promised a higher ballot")

    def _on_chosen_otherwise(self, turn: Turn, message: ChosenOtherwise) -> None:
        if message.ballot == self._ballot:
            self._stop(turn, self._ballot, f"slot {message.slot} is chosen with another value")

    def _stop(self, turn: Turn, by: Ballot, reason: str) -> None:
        if self._step is Step.IDLE:
            return
        led = self._step is Step.LEADING
        turn.note("stepped_down" if led else "phase1_ended", ballot=self._ballot, by=by, reason=reason)
        self._step = Step.IDLE
        self._begin_leadership(0)
        for timer in ("retransmit", "announce", "progress"):
            turn.cancel_timer(timer)
        turn.send(Address(self._node, ELECTOR), Stopped(self._ballot, by, led))

    # --- time ---

    def _on_timer(self, turn: Turn, message: TimerFired) -> None:
        if message.name == "announce" and self._step is Step.LEADING:
            self._announcing = False
            self._announce(turn, self._members)
        elif message.name == "progress" and self._step is Step.CATCHING_UP:
            self._campaign(turn)  # Who reported what is missing may have died: another quorum may know less.
        elif message.name == "progress" and self._step is not Step.LEADING:
            self._stop(turn, self._ballot, "no quorum promised it in time")
        elif message.name == "retransmit" and self._step is not Step.IDLE:
            silent = self._window.own_disk_silent_seconds(turn.now)
            if silent > self._timings.stuck_disk_seconds:
                self._stop(turn, self._ballot, f"this node's disk has not answered for {silent:.1f} s")
                return
            if self._step is Step.LEADING:
                self._retransmit_window(turn)
                self._marks = ChosenMarks(self._members)  # what was told may be lost
                self._announce(turn, self._members)
                turn.set_timer("retransmit", self._timings.retransmit_seconds)
            else:
                self._retransmit_prepare(turn, self._members)
                self._tally.asked_times += 1
                turn.set_timer("retransmit", self._timings.retransmit_seconds * backoff(self._tally.asked_times))

    def _on_peer_up(self, turn: Turn, message: PeerUp) -> None:
        """What was sent to the peer may be lost: send again all that it has not answered."""
        if self._step is Step.LEADING:
            for slot, proposal in self._window:
                if message.node not in proposal.voters:
                    self._send_accept(turn, message.node, slot, proposal.value)
            self._ask_confirmation(turn, (message.node,))
            turn.send(self._acceptor(message.node), ChosenMark(self._ballot, self._window.chosen_through))
        elif turn.now - self._tally.began_at < self._timings.election_seconds_max:
            # Later, a leader may have been found without this node; the poll that allowed the campaign is too old.
            self._retransmit_prepare(turn, (message.node,))

    def _retransmit_prepare(self, turn: Turn, nodes: Iterable[int]) -> None:
        if self._step is Step.RESERVING and self._node in nodes:
            turn.send(self._acceptor(self._node), Prepare(self._ballot, 1))
        elif self._step is Step.PREPARING:
            for node in sorted(set(nodes) - self._tally.reported() - {self._node}):
                turn.send(self._acceptor(node), Prepare(self._ballot, self._held_through + 1))

    def _retransmit_window(self, turn: Turn) -> None:
        for slot, proposal in self._window.take_overdue(turn.now, self._timings.retransmit_seconds):
            for node in self._others:
                if node not in proposal.voters:
                    self._send_accept(turn, node, slot, proposal.value)
        if turn.now - self._rounds.begun_at >= self._timings.retransmit_seconds:
            self._ask_confirmation(turn, self._members)

    def _send_accept(self, turn: Turn, node: int, slot: int, value: Value) -> None:
        turn.send(self._acceptor(node), Accept(self._ballot, slot, value, self._window.chosen_through))

    def _acceptor(self, node: int) -> Address:
        return Address(node, ACCEPTOR)
