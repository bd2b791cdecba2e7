"""The gateway: client requests in, replies out.

Writes travel in numbered batches through the log; a batch is resent, the same bytes under the same number and in
order, until this node's own learner applies it. Reads wait for a barrier of the leader; those of a connection that
has a write unanswered, or behind them in the same pipeline, ride in the batch instead, so that each connection's
requests take effect in their order. A write that follows reads still waiting for their barrier waits for them.

In classic mode the "leader" is this node itself, which proposes its own batches, and the barrier of reads is a batch
numbered after they arrived: of writes, if there are any, or without entries (a NOOP).

A request is answered within ``request_seconds``: refused if its batch has no number yet, ``UNCERTAIN`` if it has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import assert_never

from dkv.actor import CLIENTS, GATEWAY, LEARNER, PROPOSER, Address, Turn
from dkv.events import (
    BatchApplied,
    ClientGone,
    ClientReplies,
    ClientRequests,
    Flush,
    LeaderIs,
    PeerUp,
    QuorumHeard,
    ReadResults,
    Replayed,
    Replies,
    RepliesUnread,
    TimerFired,
)
from dkv.gateway.availability import Availability
from dkv.gateway.gathering import GATHERED_BYTES_MAX, LULL_SECONDS, Gathering
from dkv.gateway.reads import Reads
from dkv.gateway.runs import Lane, Outstanding, Run, take_fitting, weigh_at_least
from dkv.identity import Identity
from dkv.kv.machine import UNREADABLE
from dkv.messages import Barrier, BarrierRequest, Submit, Want
from dkv.records import Batch, Entry
from dkv.replies import Error, Result
from dkv.settings import Limits, Timings

GatewayMessage = (
    ClientRequests
    | BatchApplied
    | Barrier
    | ReadResults
    | Flush
    | ClientGone
    | RepliesUnread
    | Want
    | LeaderIs
    | QuorumHeard
    | Replayed
    | PeerUp
    | TimerFired
)

RESEND_SECONDS = 1.0
DEADLINES_PER_TIMEOUT = 20


class Gateway:
    """The gateway of the node that ``identity`` names; ``encode`` turns entries into a batch's blob.

    ``classic`` says that no leader answers for barriers.
    """

    def __init__(
        self,
        identity: Identity,
        limits: Limits,
        timings: Timings,
        encode: Callable[[list[Entry]], bytes],
        classic: bool = False,
    ) -> None:
        self._identity = identity
        self._limits = limits
        self._timings = timings
        self._encode = encode
        self._classic = classic
        self._availability = Availability(timings, classic)
        self._leader: Address | None = None
        self._lanes: dict[int, Lane] = {}
        self._flushing = False
        self._watching = False
        self._gathering = Gathering()
        self._lull_ends = False
        self._seq = 0
        self._to_log: deque[Run] = deque()
        self._outstanding: deque[Outstanding] = deque()
        self._reads = Reads()
        self._replies: list[Replies] = []  # of the turn under way
        self._replies_full = False

    def start(self, turn: Turn) -> None:
        """Nothing to load: the boot count that numbers its batches is part of its identity."""

    def receive(self, turn: Turn, sender: Address, message: GatewayMessage) -> None:
        """React to one message."""
        match message:
            case ClientRequests():
                self._on_client_requests(turn, message)
            case BatchApplied():
                self._on_batch_applied(turn, message)
            case Barrier():
                self._on_barrier(turn, message)
            case ReadResults():
                self._on_read_results(turn, message)
            case Flush():
                self._flushing = False
                self._pass_on(turn)
            case ClientGone():
                self._on_client_gone(message)
            case Want():
                self._on_want(turn, message)
            case LeaderIs():
                self._on_leader_is(turn, message)
            case QuorumHeard():
                self._availability.quorum_lost_at = None if message.heard else turn.now
            case Replayed():
                self._availability.loading = False
            case RepliesUnread():
                self._replies_full = message.full
                self._read_next(turn)
                self._flush_soon(turn)
            case PeerUp():
                if self._leader is not None and self._leader.node == message.node:
                    self._resend_all(turn)
            case TimerFired():
                self._on_timer(turn, message.name)
            case _:
                assert_never(message)
        if self._replies:
            replies, self._replies = self._replies, []
            turn.send(self._here(CLIENTS), ClientReplies(replies))

    # --- requests ---

    def _on_client_requests(self, turn: Turn, message: ClientRequests) -> None:
        refusal, lanes = self._availability.refusal_at_once(turn.now), self._lanes
        self._gathering.arrived(len(message.requests), turn.now)
        for requests in message.requests:
            run = Run(requests, turn.now)
            lane = lanes.get(requests.connection)
            if lane is None:
                if refusal is not None:
                    self._note_refusal(turn, refusal, run.entries)
                if refusal is not None or not run.entries:
                    self._reply(run, [refusal] * run.entries)
                    continue
                lane = lanes[requests.connection] = Lane()
            if lane.stalled:
                lane.stalled.append(run)
            else:
                self._admit(turn, lane, run)

    def _on_client_gone(self, message: ClientGone) -> None:
        """Let go of what has no number yet: the client port counts its bytes no more. The rest takes its course."""
        if self._lanes.pop(message.connection, None) is not None:
            self._to_log = deque(run for run in self._to_log if run.connection != message.connection)
            self._reads.waiting = deque(run for run in self._reads.waiting if run.connection != message.connection)

    def _admit(self, turn: Turn, lane: Lane, run: Run) -> None:
        """Send a run of requests on its way: by the log or by a barrier, or hold it back behind earlier reads."""
        if not run.entries:
            if lane.newest is None:
                self._reply(run, [])
            else:
                lane.newest.take_in(run)
            return
        if run.writes or lane.in_log:
            if lane.in_reads:
                lane.stalled.append(run)
                return
            run.in_log = True
            lane.in_log += 1
            self._to_log.append(run)
        else:
            lane.in_reads += 1
            self._reads.waiting.append(run)
        lane.newest = run
        self._flush_soon(turn)
        if not self._watching:
            self._watching = True
            turn.set_timer("deadline", self._timings.request_seconds / DEADLINES_PER_TIMEOUT)

    def _flush_soon(self, turn: Turn) -> None:
        """Act once on all requests that are in the mailbox by now: they share a batch, and a barrier."""
        if not self._flushing:
            self._flushing = True
            turn.send(self._here(GATEWAY), Flush())

    def _pass_on(self, turn: Turn) -> None:
        """Number batches and ask for barriers, unless it is worth while to wait for those who are about to ask."""
        if self._lull_ends:
            self._lull_ends = False
            self._gathering.look()
        may_go = (self._to_log and not self._outstanding) or self._reads.waiting
        if may_go and not weigh_at_least(self._to_log, GATHERED_BYTES_MAX) and self._gathering.should_wait(turn.now):
            if self._gathering.watch():
                turn.set_timer("lull", LULL_SECONDS)
            return
        self._number_batches(turn)
        self._ask_barrier(turn)

    # --- writes ---

    def _number_batches(self, turn: Turn) -> None:
        """Number what waits, only while a leader is known: until then it can still be refused with certainty."""
        while self._leader is not None and self._to_log:
            if self._outstanding and not self._may_overtake():
                return
            if self._replies_full and self._to_log[0].reads:
                return
            runs = take_fitting(self._to_log, self._limits.batch_bytes_max)
            self._submit(turn, self._leader, runs, self._reads.ask() if self._classic else 0)

    def _may_overtake(self) -> bool:
        """Whether another batch may be numbered while one is under way: not for a few commands.

        What a batch costs all nodes hardly depends on its size, so those that wait for the one under way to be applied
        are worth waiting for: one batch at a time made 31,000 SET/s of 256 clients where four made 25,000.
        """
        few = len(self._outstanding) < self._limits.batches_outstanding_max
        return few and weigh_at_least(self._to_log, self._limits.batches_overtaking_bytes_min)

    def _submit(self, turn: Turn, leader: Address, runs: list[Run], barrier: int) -> None:
        """Number a batch of these runs, and send it; it answers the request ``barrier``, if that is not 0."""
        entries = [entry for run in runs for entry in run.log_entries()]
        self._seq += 1
        me = self._identity
        batch = Batch(me.node, me.incarnation, me.boot, self._seq, self._encode(entries))
        self._outstanding.append(Outstanding(batch, runs, len(entries), turn.now, turn.now, barrier))
        waited = turn.now - min((run.arrived for run in runs), default=turn.now)
        turn.note("batch_numbered", commands=len(entries), seconds=waited)
        turn.send(leader, Submit((batch,)))

    def _on_batch_applied(self, turn: Turn, message: BatchApplied) -> None:
        applied = self._outstanding.popleft()
        assert applied.batch.seq == message.seq, f"batch {message.seq} applied, {applied.batch.seq} is the oldest"
        turn.note("batch_agreed", commands=len(message.results), seconds=turn.now - applied.numbered_at)
        results = message.results if len(message.results) == applied.entries else [UNREADABLE] * applied.entries
        self._gathering.answered(len(applied.runs), turn.now)
        self._share_out(turn, applied.runs, results)
        if applied.barrier:
            self._reads.barrier(applied.barrier, 0)  # what is applied by now is enough
            self._read_next(turn)
        if self._to_log or self._reads.waiting:
            self._flush_soon(turn)

    def _on_want(self, turn: Turn, message: Want) -> None:
        """Resend from there on; to send what it would refuse again could go on without end, at no distance at all."""
        if message.boot == self._identity.boot and self._outstanding and self._outstanding[0].batch.seq <= message.seq:
            self._resend(turn, message.seq)

    def _resend(self, turn: Turn, from_seq: int) -> None:
        if self._leader is None:
            return
        for outstanding in self._outstanding:
            if outstanding.batch.seq >= from_seq:
                outstanding.sent_at = turn.now
                turn.send(self._leader, Submit((outstanding.batch,)))

    # --- reads ---

    def _ask_barrier(self, turn: Turn) -> None:
        """One request for all reads that have arrived since the last one; the newest stands for all before it."""
        if self._leader is None or (self._classic and len(self._outstanding) >= self._limits.batches_outstanding_max):
            return
        number = self._reads.ask()
        if number and self._classic:
            self._submit(turn, self._leader, [], number)
        elif number:
            turn.send(self._leader, BarrierRequest(self._identity.boot, number))

    def _on_barrier(self, turn: Turn, message: Barrier) -> None:
        if message.boot == self._identity.boot:
            self._reads.barrier(message.number, message.through)
            self._read_next(turn)
            self._flush_soon(turn)

    def _read_next(self, turn: Turn) -> None:
        """Let the learner evaluate the next reads, unless clients do not read what they are sent."""
        read = None if self._replies_full else self._reads.next_read(self._is_settled)
        if read is not None:
            turn.send(self._here(LEARNER), read)

    def _on_read_results(self, turn: Turn, message: ReadResults) -> None:
        runs = self._reads.evaluated(message.number)
        waited = turn.now - min((run.arrived for run in runs), default=turn.now)
        turn.note("reads_evaluated", commands=len(message.results), seconds=waited)
        self._gathering.answered(len(runs), turn.now)
        self._share_out(turn, runs, message.results)
        self._read_next(turn)
        if self._reads.waiting:
            self._flush_soon(turn)

    # --- replies ---

    def _share_out(self, turn: Turn, runs: list[Run], results: Sequence[Result]) -> None:
        position = 0
        for run in runs:
            self._answer(turn, run, results[position : position + run.entries])
            position += run.entries

    def _answer(self, turn: Turn, run: Run, results: Sequence[Result]) -> None:
        """Answer a run, unless it was answered before or its connection is gone; then let go what waited behind it."""
        lane = self._lanes.get(run.connection)
        if lane is None or run.answered:
            return
        run.answered = True
        if run.in_log:
            lane.in_log -= 1
        else:
            lane.in_reads -= 1
        self._reply(run, results)
        if lane.newest is run:
            lane.newest = None
        while lane.stalled and not lane.in_reads:
            self._admit(turn, lane, lane.stalled.pop(0))
        if not (lane.in_log or lane.in_reads):
            del self._lanes[run.connection]

    def _reply(self, run: Run, results: Sequence[Result]) -> None:
        self._replies.append(Replies(run.connection, run.replies(results), run.size))

    # --- leaders ---

    def _on_leader_is(self, turn: Turn, message: LeaderIs) -> None:
        self._leader = Address(message.node, PROPOSER) if message.node else None
        self._availability.leader_known = self._leader is not None
        self._resend_all(turn)
        self._flush_soon(turn)

    # --- time ---

    def _on_timer(self, turn: Turn, name: str) -> None:
        self._lull_ends |= name == "lull"
        if name == "deadline":
            self._on_deadline(turn)
        self._flush_soon(turn)  # behind what is in the mailbox: it may be what is waited for

    def _on_deadline(self, turn: Turn) -> None:
        """Answer what has waited too long, oldest first; send again what the leader may not have got."""
        expired = turn.now - self._timings.request_seconds
        refusal, uncertain = self._availability.refusal, self._availability.uncertain
        for outstanding in self._outstanding:
            for run in outstanding.runs:
                if run.arrived <= expired:
                    self._note_refusal(turn, uncertain, 0 if run.answered else run.entries)
                    self._answer(turn, run, run.outcomes(writes=uncertain, reads=refusal))
        for run in self._reads.under_way():
            if run.arrived <= expired:
                self._note_refusal(turn, refusal, 0 if run.answered else run.entries)
                self._answer(turn, run, [refusal] * run.entries)
        self._reads.forget(self._is_settled)
        self._refuse_expired(turn, self._reads.waiting, expired)
        self._refuse_expired(turn, self._to_log, expired)  # last: writes held behind those reads have just joined it
        if self._outstanding and self._outstanding[0].sent_at <= turn.now - RESEND_SECONDS:
            self._resend(turn, 1)
        self._resend_barrier_request(turn)
        self._watching = bool(self._lanes or self._outstanding or self._to_log or self._reads.asked)
        if self._watching:
            turn.set_timer("deadline", self._timings.request_seconds / DEADLINES_PER_TIMEOUT)

    def _refuse_expired(self, turn: Turn, runs: deque[Run], expired: float) -> None:
        """Take out and refuse what arrived by ``expired``: not only at the front, where later arrivals may stand."""
        for _ in range(len(runs)):
            run = runs.popleft()
            if run.arrived <= expired:
                refusal = self._availability.refusal
                self._note_refusal(turn, refusal, run.entries)
                self._answer(turn, run, [refusal] * run.entries)
            else:
                runs.append(run)

    def _is_settled(self, run: Run) -> bool:
        """Whether nobody waits for the run's answer any more."""
        return run.answered or run.connection not in self._lanes

    def _resend_all(self, turn: Turn) -> None:
        self._resend(turn, 1)
        self._resend_barrier_request(turn)

    def _resend_barrier_request(self, turn: Turn) -> None:
        if self._leader is not None and self._reads.asked and not self._classic:
            turn.send(self._leader, BarrierRequest(self._identity.boot, self._reads.asked))

    def _note_refusal(self, turn: Turn, refusal: Error, count: int) -> None:
        if count:
            turn.note("refused", reason=refusal.text.partition(" ")[0], count=count)

    def _here(self, role: str) -> Address:
        return Address(self._identity.node, role)
