"""The gateway: client requests in, replies out.

Writes travel through the log in numbered batches (``batches.py``). A batch is sent again and again, the same bytes
under the same number and in order, until this node's own learner applies it. Reads wait for a barrier of the leader,
which says how far the log must be applied before they may be evaluated (``reads.py``). The requests of one connection
take effect in their order: for that some reads travel in a batch, and some writes wait (``lanes.py``). Requests wait a
moment for each other, so that they share batches and barriers (``gathering.py``). No client waits for more than
``request_seconds`` (``deadlines.py``). A read that looks through very many keys is the surveyor's (``surveys.py``).

In classic mode the "leader" is this node itself, which proposes its own batches. The barrier of reads is then a batch
numbered after they arrived: of writes, if there are any, or without entries (a NOOP).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from dkv import noted
from dkv.actor import CLIENTS, GATEWAY, LEARNER, PROPOSER, SURVEYOR, Address, Turn
from dkv.client_events import (
    BatchApplied,
    ClientGone,
    ClientReplies,
    ClientRequests,
    LeaderIs,
    Passed,
    QuorumHeard,
    ReadResults,
    Replayed,
    RepliesUnread,
    ShortOfSpace,
    Surveyed,
)
from dkv.configurations import Configurations
from dkv.events import Flush, MembersAre, PeerUp, RemovalTold, TimerFired
from dkv.gateway.availability import PASSED_READ, PASSED_WRITE, Availability, note_refusal
from dkv.gateway.batches import Batches
from dkv.gateway.belonging import Belonging
from dkv.gateway.deadlines import Deadlines
from dkv.gateway.gathering import GATHERED_BYTES_MAX, LULL_SECONDS, Gathering
from dkv.gateway.lanes import Lanes
from dkv.gateway.reads import Reads
from dkv.gateway.runs import Run, take_fitting, weigh_at_least
from dkv.gateway.shortage import Shortage
from dkv.gateway.surveys import Surveys
from dkv.identity import Identity
from dkv.kv.machine import UNREADABLE
from dkv.messages import Barrier, BarrierRequest, Submit, Want
from dkv.records import Entry
from dkv.replies import TOO_LONG
from dkv.settings import Limits, Timings

GatewayMessage = (
    ClientRequests
    | BatchApplied
    | Passed
    | Barrier
    | ReadResults
    | Surveyed
    | Flush
    | ClientGone
    | RepliesUnread
    | Want
    | LeaderIs
    | QuorumHeard
    | Replayed
    | MembersAre
    | RemovalTold
    | ShortOfSpace
    | PeerUp
    | TimerFired
)

RESEND_SECONDS = 1.0
"""How long after it was sent a batch that is not applied yet is sent again."""


class Gateway:
    """The gateway of the node that ``identity`` names; ``encode`` turns entries into a batch's blob.

    ``configurations`` are the sets of members as the state on disk has them. ``classic`` says that no leader answers
    for barriers.
    """

    def __init__(
        self,
        identity: Identity,
        configurations: Configurations,
        limits: Limits,
        timings: Timings,
        encode: Callable[[list[Entry]], bytes],
        classic: bool = False,
    ) -> None:
        self._identity = identity
        self._limits = limits
        self._classic = classic
        self._itself, self._learner, self._clients = (
            Address(identity.node, role) for role in (GATEWAY, LEARNER, CLIENTS)
        )
        self._leader: Address | None = None
        self._belonging = Belonging(identity.node, configurations)
        self._availability = Availability(timings, classic, self._belonging)
        self._gathering = Gathering()
        self._reads = Reads()
        self._lanes = Lanes(self._reads)
        self._batches = Batches(identity, limits, encode)
        self._shortage = Shortage(self._lanes, self._batches, self._gathering)
        self._surveys = Surveys(self._lanes, Address(identity.node, SURVEYOR))
        self._deadlines = Deadlines(
            self._lanes, self._batches, self._reads, self._surveys, self._availability, timings.request_seconds
        )
        self._flushing = False  # a Flush is in the mailbox
        self._lull_ends = False  # the timer that watches for a lull has fired
        self._replies_full = False  # clients leave too many replies unread

    def start(self, turn: Turn) -> None:
        """Nothing to load: the boot count that numbers its batches is part of its identity."""

    def receive(self, turn: Turn, sender: Address, message: GatewayMessage) -> None:
        """React to one message."""
        match message:
            case ClientRequests():
                self._on_client_requests(turn, message)
            case BatchApplied():
                self._on_batch_applied(turn, message)
            case Passed():
                self._on_passed(turn, message)
            case Barrier():
                self._on_barrier(turn, message)
            case ReadResults():
                self._on_read_results(turn, message)
            case Surveyed():
                self._on_surveyed(turn, message)
            case Flush():
                self._on_flush(turn)
            case ClientGone():
                self._on_client_gone(turn, message)
            case Want():
                self._on_want(turn, message)
            case LeaderIs():
                self._on_leader_is(turn, message)
            case QuorumHeard():  # a refusal says which of the two is missing, a leader or a majority
                self._availability.quorum_lost_at = None if message.heard else turn.now
            case Replayed():  # requests are refused until then: a replay may take long
                self._availability.loading = False
            case MembersAre() | RemovalTold():
                self._on_members(turn, message)
            case RepliesUnread():
                self._on_replies_unread(turn, message)
            case ShortOfSpace():
                self._shortage.decided(message.disks)
            case PeerUp():
                self._on_peer_up(turn, message)
            case TimerFired():
                self._on_timer(turn, message.name)
            case _:
                assert_never(message)
        self._send_replies(turn)

    def _send_replies(self, turn: Turn) -> None:
        """Send all replies of a turn in one message: the client port writes once per connection."""
        if self._lanes.replies:
            replies, self._lanes.replies = self._lanes.replies, []
            turn.send(self._clients, ClientReplies(replies))

    # --- requests ---

    def _on_client_requests(self, turn: Turn, message: ClientRequests) -> None:
        """Clients ask: their requests go their ways, or are refused at once if this node cannot serve."""
        refusal, lanes = self._availability.refusal_at_once(turn.now), self._lanes
        self._gathering.arrived(len(message.requests), turn.now)
        went = False
        for requests in message.requests:
            run = Run(requests, turn.now)
            if refusal is not None and run.connection not in lanes:  # else its replies would change their order
                note_refusal(turn, refusal, run.entries)
                lanes.reply(run, [refusal] * run.entries)
            else:
                went |= lanes.take_in(run)
        if went:
            self._under_way(turn)

    def _on_client_gone(self, turn: Turn, message: ClientGone) -> None:
        """A connection ended: what has no number yet is forgotten, and the client port counts its bytes no more."""
        self._lanes.close(message.connection)
        self._surveys.forget(turn)

    def _under_way(self, turn: Turn) -> None:
        """Requests have gone their way: act on them soon, and answer them in time whatever happens."""
        self._flush_soon(turn)
        self._deadlines.watch(turn)

    def _flush_soon(self, turn: Turn) -> None:
        """Act once on all requests that are in the mailbox by now: they share a batch, and a barrier."""
        if not self._flushing:
            self._flushing = True
            turn.send(self._itself, Flush())

    def _on_flush(self, turn: Turn) -> None:
        """Number batches and ask for a barrier, unless it is better to wait for clients that are about to ask."""
        self._flushing = False
        if self._lull_ends:
            self._lull_ends = False
            self._gathering.look()
        to_log = self._lanes.to_log
        may_go = (to_log and not self._batches.outstanding) or self._reads.waiting
        if may_go and not weigh_at_least(to_log, GATHERED_BYTES_MAX) and self._gathering.should_wait(turn.now):
            if self._gathering.watch():
                turn.set_timer("lull", LULL_SECONDS)
            return
        self._number_batches(turn)
        self._ask_barrier(turn)

    # --- writes ---

    def _number_batches(self, turn: Turn) -> None:
        """Number what waits, only while a leader is known: until then it can still be refused with certainty.

        Nor is anything numbered on a node that is no member (``belonging.py``).
        """
        while self._leader is not None and self._lanes.to_log and self._belonging.refusal is None:
            to_log = self._lanes.to_log
            if not self._batches.may_number(to_log):
                return
            if self._replies_full and to_log[0].reads:  # these would bring more replies that nobody reads
                return
            runs = take_fitting(to_log, self._limits.batch_bytes_max)
            if self._shortage:
                runs = self._shortage.sift(turn, runs)
            if runs:
                self._submit(turn, self._leader, runs, self._reads.ask() if self._classic else 0)

    def _submit(self, turn: Turn, leader: Address, runs: list[Run], barrier: int) -> None:
        """Number a batch of these runs, and send it; it answers the request ``barrier``, if that is not 0."""
        numbered = self._batches.number(runs, barrier, turn.now)
        waited = turn.now - min((run.arrived for run in runs), default=turn.now)
        turn.note(noted.batch_numbered, commands=numbered.entries, seconds=waited)
        turn.send(leader, Submit((numbered.batch,)))

    def _on_batch_applied(self, turn: Turn, message: BatchApplied) -> None:
        """This node's learner has applied a batch of this gateway, which took effect at its place in the log.

        The learner has one result for each entry, unless it could not read the batch: then no entry had an effect.
        """
        applied = self._batches.applied(message.seq)
        turn.note(noted.batch_agreed, commands=len(message.results), seconds=turn.now - applied.numbered_at)
        results = message.results if len(message.results) == applied.entries else [UNREADABLE] * applied.entries
        if self._shortage:
            results = self._shortage.explain(results)
        self._gathering.answered(len(applied.runs), turn.now)
        self._lanes.share_out(applied.runs, results)
        self._go_on_behind(turn, applied.barrier)

    def _on_passed(self, turn: Turn, message: Passed) -> None:
        """Batches of this gateway took effect in slots that this node got as a snapshot: their results are not known.

        So a write is of unknown outcome, as if it had waited too long, and a read had better be asked again.
        """
        for passed in self._batches.passed(message.seq):
            turn.note(noted.batch_passed, commands=passed.entries)
            for run in passed.runs:
                note_refusal(turn, PASSED_WRITE, 0 if run.answered else run.entries)
                self._lanes.answer(run, run.outcomes(writes=PASSED_WRITE, reads=PASSED_READ))
            self._go_on_behind(turn, passed.barrier)

    def _go_on_behind(self, turn: Turn, barrier: int) -> None:
        """A batch has come to its end: read what it was a barrier for, and number what has waited for its end."""
        if barrier:
            self._reads.barrier(barrier, 0)  # they came before it was numbered: what is applied now is enough
            self._read_next(turn)
        if self._lanes.to_log or self._reads.waiting:
            self._flush_soon(turn)

    def _on_want(self, turn: Turn, message: Want) -> None:
        """The leader lacks a batch of this node: one was lost on the way, or the leader has just begun to lead."""
        if message.boot != self._identity.boot:
            return  # It wants a batch of an earlier life of this node, which nobody has any more.
        if not self._batches.is_applied(message.seq):  # else it would refuse again what it is sent, without end
            self._resend(turn, message.seq)

    def _resend(self, turn: Turn, from_seq: int) -> None:
        if self._leader is not None:
            for submit in self._batches.send_again(from_seq, turn.now):
                turn.send(self._leader, submit)

    # --- reads ---

    def _ask_barrier(self, turn: Turn) -> None:
        """One request for all reads that have arrived since the last one; the newest stands for all before it."""
        if self._leader is None or self._belonging.refusal is not None or (self._classic and self._batches.are_many):
            return
        number = self._reads.ask()
        if number and self._classic:
            self._submit(turn, self._leader, [], number)
        elif number:
            turn.send(self._leader, BarrierRequest(self._identity.boot, number))

    def _on_barrier(self, turn: Turn, message: Barrier) -> None:
        """A quorum confirmed the leader after the reads arrived: they may be served at ``through`` or later (I11)."""
        if message.boot != self._identity.boot:
            return  # Numbers begin anew with each life of a node: this one answers reads of an earlier life.
        self._reads.barrier(message.number, message.through)
        self._read_next(turn)
        self._flush_soon(turn)

    def _read_next(self, turn: Turn) -> None:
        """Let the learner evaluate the next reads, unless clients do not read what they are sent."""
        read = None if self._replies_full else self._reads.next_read(self._lanes.is_settled)
        if read is not None:
            turn.send(self._learner, read)

    def _on_read_results(self, turn: Turn, message: ReadResults) -> None:
        """The learner has applied as much as the reads had to wait for, and evaluated them."""
        runs = self._reads.evaluated(message.number)
        waited = turn.now - min((run.arrived for run in runs), default=turn.now)
        turn.note(noted.reads_evaluated, commands=len(message.results), seconds=waited)
        self._gathering.answered(len(runs), turn.now)
        if runs[0].alone and message.results[0] is TOO_LONG:
            went = self._surveys.take_in(turn, runs[0], message.through)
        else:
            went = self._lanes.share_out(runs, message.results)
        if went:
            self._under_way(turn)
        self._read_next(turn)
        if self._reads.waiting:
            self._flush_soon(turn)

    def _on_surveyed(self, turn: Turn, message: Surveyed) -> None:
        """All keys were looked through that a read is about."""
        if self._surveys.on_surveyed(turn, message):
            self._under_way(turn)

    def _on_replies_unread(self, turn: Turn, message: RepliesUnread) -> None:
        """Clients leave too many replies unread, so that no more reads are evaluated; or no longer too many."""
        self._replies_full = message.full
        self._surveys.pause(turn, message.full)
        self._read_next(turn)
        self._flush_soon(turn)

    # --- members ---

    def _on_members(self, turn: Turn, message: MembersAre | RemovalTold) -> None:
        """This node may have become a member, or be none any more: if its own log says so, all that waits is answered.

        The results of its batches came before this message, so those that are left never take effect.
        """
        self._belonging.hear(message)
        if self._belonging.has_left:
            self._deadlines.dismiss(turn, self._belonging.end_of_writes or PASSED_WRITE)
        self._flush_soon(turn)

    # --- leaders ---

    def _on_leader_is(self, turn: Turn, message: LeaderIs) -> None:
        """A leader is known, or none any more: a new one is sent all that is under way, as nobody knows what it has."""
        self._leader = Address(message.node, PROPOSER) if message.node else None
        self._availability.leader_known = self._leader is not None
        self._resend_all(turn)
        self._flush_soon(turn)

    def _on_peer_up(self, turn: Turn, message: PeerUp) -> None:
        """A connection is new: what was sent to the leader on the one before may be lost."""
        if self._leader is not None and self._leader.node == message.node:
            self._resend_all(turn)

    def _resend_all(self, turn: Turn) -> None:
        self._resend(turn, 1)
        self._resend_barrier_request(turn)

    def _resend_barrier_request(self, turn: Turn) -> None:
        if self._leader is not None and self._reads.asked and not self._classic:
            turn.send(self._leader, BarrierRequest(self._identity.boot, self._reads.asked))

    # --- time ---

    def _on_timer(self, turn: Turn, name: str) -> None:
        """A lull ends, or it is time to look for what waits too long."""
        self._lull_ends |= name == "lull"
        if name == "deadline":
            self._on_deadline(turn)
        self._flush_soon(turn)  # behind what is in the mailbox: it may be what is waited for

    def _on_deadline(self, turn: Turn) -> None:
        """Answer what has waited too long; send again what the leader may not have got."""
        self._deadlines.expire(turn)
        if self._batches.waited(RESEND_SECONDS, turn.now):
            self._resend(turn, 1)
        self._resend_barrier_request(turn)
        self._deadlines.watch_on(turn)
