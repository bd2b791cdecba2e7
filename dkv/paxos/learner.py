"""The learner: it applies chosen slots to the state machine, in order, and evaluates reads once it has come far enough.

All nodes apply the same slots in the same order to a deterministic machine, and so have the same state (I9; Paxos Made
Simple, section 3). Invariants: slots are applied one after another (I8, B14); what is applied is staged in one turn
together with ``applied_through`` and its digest, so that a commit holds all or nothing (B11, B29); a read is evaluated
only when its barrier is applied (I11). A received snapshot is put in force as a whole, by one commit, and only if it is
ahead of what is applied (``dkv.paxos.snapshots``).

The learner alone knows who decides which slots, as that is part of the state. It tells the other actors of its node
whenever the log has changed the members, and when a change takes force (``MembersAre``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from sys import maxsize
from typing import Protocol, assert_never

from dkv import noted
from dkv.actor import (
    ACCEPTOR,
    CATCHUP,
    CHECKER,
    DONOR,
    ELECTOR,
    GATEWAY,
    PROPOSER,
    PUBSUB,
    RECEIVER,
    ROSTER,
    SURVEYOR,
    Address,
    Turn,
)
from dkv.client_events import BatchApplied, KeyEvents, Passed, Read, ReadResults, Replayed
from dkv.configurations import Configurations
from dkv.events import (
    Applied,
    AppliedElsewhere,
    AppliedThrough,
    CaptureMissed,
    CaptureNow,
    CaptureState,
    Compacted,
    Due,
    HoldLog,
    Install,
    Installed,
    MembersAre,
    Origins,
    Outdated,
    PeerUp,
    ReportApplied,
    ReportOrigins,
    TimerFired,
    WrittenBack,
)
from dkv.identity import Identity
from dkv.keys import APPLIED_THROUGH, COMPACTED, DIGEST, pack_compacted, pack_number, unpack_number
from dkv.paxos.digests import Digests
from dkv.paxos.known_members import KnownMembers
from dkv.paxos.tail import Tail
from dkv.records import Batch, Entry, Value, value_bytes
from dkv.replies import Result
from dkv.settings import MIB, Limits, Timings
from dkv.state_messages import AppliedDigest, ChosenSlots, ReadChosen

_FromThisNode = Read | ReportOrigins | ReportApplied | CaptureState | CaptureNow | Install | HoldLog | WrittenBack
LearnerMessage = ChosenSlots | _FromThisNode | AppliedDigest | PeerUp | TimerFired

EFFORT_PER_TURN = 4 * MIB
"""What the commands of several slots may take in one turn. A few bytes may copy many, and be many to a slot."""

TOLD_OF_MEMBERS = (ACCEPTOR, PROPOSER, ELECTOR, GATEWAY, CATCHUP, DONOR, RECEIVER, CHECKER, ROSTER)
"""The roles of the actors that go by the sets of members."""


class StateMachine(Protocol):
    """What the learner needs of the state machine (``dkv.kv.machine``). Every method is deterministic and total.

    ``executed`` counts the write commands that it has executed. ``configurations`` are the sets of members, another
    object whenever a slot has changed them.
    """

    executed: int
    configurations: Configurations

    @property
    def effort(self) -> int:
        """What commands have taken so far, roughly in bytes that were read and written; plain PUTs count nothing."""

    @property
    def time(self) -> int:
        """The replicated time after the slots so far, in milliseconds since 1970; 0 if no slot had one."""

    def due(self, turn: Turn) -> int:
        """The time at which a slot is wanted though nobody writes: 0 if at once, ``maxsize`` if none is wanted."""

    def start(self, turn: Turn) -> None:
        """Load what is kept in memory, and forget what was there before: the state in force may be another one."""

    def begin_slot(self, turn: Turn, slot: int, stamp: int) -> None:
        """The next slot is applied: what follows from its number and its stamp, and then its batches, if it has any."""

    def apply(self, turn: Turn, batch: Batch, own: bool) -> list[Result] | None:
        """Apply one batch of that slot: a result per entry, or None if it is skipped: no member's, or not its next."""

    def take_events(self) -> Sequence[KeyEvents]:
        """What the slots since the last call have done to keys, as far as it is wanted."""

    def read(self, turn: Turn, entries: list[Entry]) -> list[Result]:
        """Evaluate read entries: a result each."""

    def origins(self) -> tuple[tuple[int, int, int, int], ...]:
        """The last batch applied of every origin: (node, incarnation, boot, seq)."""


class Learner:
    """The learner of the node that ``identity`` names."""

    def __init__(self, identity: Identity, limits: Limits, timings: Timings, machine: StateMachine) -> None:
        self._identity = identity
        self._machine = machine
        self._members = KnownMembers(identity.node, machine.configurations)
        self._in_force_after = maxsize
        """The last slot before the one from which on the next set decides."""
        self._digests = Digests(self._members, timings.heartbeat_seconds)
        self._tail = Tail(limits)
        self._applied_through = 0
        self._asking = False
        self._replaying = True
        self._reads: deque[Read] = deque()
        self._report: ReportOrigins | None = None
        self._due = maxsize
        self._asked: dict[Address, int] = {}
        """Who is to hear that a slot is applied, and which one."""
        self._captures: dict[str, int] = {}
        """The slots after which somebody wants a view of the state, by the role of the actor that does."""
        self._capture_at = maxsize

    def start(self, turn: Turn) -> None:
        """Load the state's mark, then replay what the log holds beyond it."""
        self._take_up_state(turn)
        self._tell_members(turn)
        self._tell_due(turn)
        turn.send(self._here(ACCEPTOR), Applied(self._applied_through))
        self._ask(turn)

    def _take_up_state(self, turn: Turn) -> None:
        """Load what memory keeps of the state in force, from scratch."""
        self._applied_through = unpack_number(turn.load(APPLIED_THROUGH))
        self._digests.start(turn, self._applied_through)
        self._tail.start(turn, self._applied_through)
        self._machine.start(turn)
        turn.note(noted.applied, through=self._applied_through, commands=0)

    def receive(self, turn: Turn, sender: Address, message: LearnerMessage) -> None:
        """React to one message."""
        match message:
            case ChosenSlots():
                self._on_chosen_slots(turn, message)
            case Read():
                self._reads.append(message)
                self._serve_reads(turn)
            case ReportOrigins():
                self._report = message
                self._send_report(turn)
            case ReportApplied():
                self._asked[sender] = message.through
                self._send_report(turn)
            case CaptureState():
                self._captures[sender.role] = message.slot
                self._capture(turn)
            case CaptureNow():
                if not turn.states.capture(sender.role):
                    turn.send(sender, CaptureMissed(self._applied_through))
            case AppliedDigest():
                self._on_applied_digest(turn, sender, message)
            case WrittenBack():
                self._on_written_back(turn, message)
            case Install():
                self._on_install(turn, message)
            case HoldLog():
                self._tail.hold(message.through)
            case PeerUp():
                self._digests.tell(turn, message.node)
            case TimerFired():
                self._digests.tell_all(turn)
            case _:
                assert_never(message)

    def _on_chosen_slots(self, turn: Turn, message: ChosenSlots) -> None:
        """The acceptor hands over chosen slots: apply those that continue the applied ones.

        Slots behind a gap are not applied (B14); they only show that there is more to ask for.
        """
        self._asking = self._asking and message.first_slot > self._applied_through + 1
        known = self._applied_through + 1 - message.first_slot
        if known >= 0:
            begun = self._machine.effort
            for value in message.values[known:]:
                self._apply(turn, value)
                if self._machine.effort - begun > EFFORT_PER_TURN:
                    break  # The others are asked for again: the node must hear its clients and peers meanwhile.
            if len(message.values) > known:
                self._mark(turn)
                self._serve_reads(turn)
                self._tell_due(turn)
                self._send_report(turn)
        if message.chosen_through > self._applied_through:
            self._ask(turn)
        elif self._replaying:
            self._replaying = False
            turn.note(noted.replayed, applied_through=self._applied_through)
            for role in (GATEWAY, ELECTOR):
                turn.send(self._here(role), Replayed(self._applied_through))

    def _apply(self, turn: Turn, value: Value) -> None:
        me, executed = self._identity, self._machine.executed
        self._applied_through += 1
        self._tail.add(value_bytes(value), self._digests.add(value))
        self._machine.begin_slot(turn, self._applied_through, value.time)
        for batch in value.batches:
            own = (batch.node, batch.incarnation, batch.boot) == (me.node, me.incarnation, me.boot)
            results = self._machine.apply(turn, batch, own)
            if own and results is not None:
                turn.send(self._here(GATEWAY), BatchApplied(batch.seq, results))
        for events in self._machine.take_events():
            if not self._replaying:  # or they were told before this node stopped, or nobody was there to be told
                turn.send(self._here(PUBSUB), events)
        turn.note(noted.applied, through=self._applied_through, commands=self._machine.executed - executed)
        if self._machine.configurations is not self._members.configurations:
            newest = self._machine.configurations.newest
            voters, standbys = sorted(newest.voters), sorted(newest.standbys)
            turn.note(noted.members_changed, from_slot=newest.from_slot, voters=voters, standbys=standbys)
            self._tell_members(turn)
        elif self._applied_through == self._in_force_after:
            self._tell_members(turn)
        if self._applied_through >= self._capture_at:
            self._mark(turn)
            self._capture(turn)

    def _tell_members(self, turn: Turn) -> None:
        """Tell all actors that care who decides which slots, unless the members are those of the beginning still."""
        message = MembersAre(self._machine.configurations, self._applied_through)
        self._members.update(message)
        pending = message.configurations.pending(message.applied)
        self._in_force_after = maxsize if pending is None else pending.from_slot - 1
        if message.configurations.newest.slot:
            for role in TOLD_OF_MEMBERS:
                turn.send(self._here(role), message)

    def _on_applied_digest(self, turn: Turn, sender: Address, message: AppliedDigest) -> None:
        """A peer says what it has applied. What that is beyond the slots here can be fetched from it.

        Usually the leader's marks tell so. But a change of members may have left only nodes that know it and decide
        nothing any more. No leader comes of them, nor of those that decide and do not know it. A peer with a later id
        than the log here has is a member by the slots that are missing.
        """
        turn.note(noted.peer_applied, peer=sender.node, through=message.through)
        self._digests.heard(turn, sender.node, message)
        if message.through <= self._applied_through:
            return
        held = self._members.configurations
        known = held.newest.slot > 0 and self._members.is_known(sender.node)
        if known or held.later((sender.node,)):
            turn.send(self._here(ACCEPTOR), AppliedElsewhere(message.through, sender.node))

    def _mark(self, turn: Turn) -> None:
        """Stage the mark and the digest that belong to what was applied."""
        turn.stage(APPLIED_THROUGH, pack_number(self._applied_through))
        self._digests.applied(turn)

    def _capture(self, turn: Turn) -> None:
        """Get views for those that want the state as it is now; a slot that is passed will not come again."""
        for role, slot in list(self._captures.items()):
            if slot <= self._applied_through:
                del self._captures[role]
                if slot < self._applied_through or not turn.states.capture(role):
                    turn.send(self._here(role), CaptureMissed(slot))
        self._capture_at = min(self._captures.values(), default=maxsize)

    def _on_written_back(self, turn: Turn, message: WrittenBack) -> None:
        """The state on disk amounts to more slots: once that is marked in the log, the acceptor may erase records."""
        through = self._tail.compact(turn, message.applied_through)
        if through is not None:
            turn.send(self._here(ACCEPTOR), Compacted(through))

    # --- snapshots ---

    def _on_install(self, turn: Turn, message: Install) -> None:
        """A whole snapshot is on disk: put it in force, with the mark that the log begins behind it, in one commit.

        Chosen slots that are in the mailbox still, and that the snapshot stands for, will be skipped. Nothing that is
        said here leaves before that commit: until then a crash brings the old state back.
        """
        if message.through <= self._applied_through:
            turn.states.abandon(message.generation)
            turn.send(self._here(RECEIVER), Outdated())
            return
        before = self._applied_through
        turn.states.install(message.generation)
        digest = turn.load(DIGEST)
        assert digest is not None, "a snapshot has its marks: the receiver has looked"
        turn.persist(COMPACTED, pack_compacted(message.through, digest))
        self._take_up_state(turn)
        assert self._applied_through == message.through, "the mark in a snapshot is its slot: the receiver has looked"
        turn.note(noted.snapshot_installed, through=message.through, passed=message.through - before)
        turn.send(self._here(ACCEPTOR), Compacted(message.through))
        for role in (RECEIVER, CHECKER, SURVEYOR):
            turn.send(self._here(role), Installed(message.through))
        self._capture(turn)
        self._pass_own_batches(turn)
        self._tell_members(turn)
        self._serve_reads(turn)
        self._tell_due(turn)
        self._send_report(turn)
        self._asking = False
        self._ask(turn)

    def _pass_own_batches(self, turn: Turn) -> None:
        """Tell the gateway which of its batches took effect in slots of the snapshot, whose results nobody knows here.

        Some of them it may have heard of before.
        """
        me = self._identity
        for node, incarnation, boot, seq in self._machine.origins():
            if (node, incarnation, boot) == (me.node, me.incarnation, me.boot):
                turn.send(self._here(GATEWAY), Passed(seq))

    def _ask(self, turn: Turn) -> None:
        if not self._asking:
            self._asking = True
            turn.send(self._here(ACCEPTOR), ReadChosen(self._applied_through + 1))

    def _serve_reads(self, turn: Turn) -> None:
        while self._reads and self._reads[0].through <= self._applied_through:
            read = self._reads.popleft()
            results = self._machine.read(turn, read.entries)
            turn.send(self._here(GATEWAY), ReadResults(read.number, results, self._applied_through))

    def _send_report(self, turn: Turn) -> None:
        """Answer what had to wait until more is applied."""
        through = self._applied_through
        if self._report is not None and self._report.through <= through:
            turn.send(
                self._here(PROPOSER), Origins(self._report.ballot, through, self._machine.origins(), self._machine.time)
            )
            self._report = None
        for asker in [asker for asker, wanted in self._asked.items() if wanted <= through]:
            del self._asked[asker]
            turn.send(asker, AppliedThrough(through))

    def _tell_due(self, turn: Turn) -> None:
        """Tell the proposer when a slot is wanted, if that has changed or is overdue still."""
        due, time = self._machine.due(turn), self._machine.time
        if due != self._due or due <= time:
            self._due = due
            turn.send(self._here(PROPOSER), Due(due, self._applied_through, time))

    def _here(self, role: str) -> Address:
        return Address(self._identity.node, role)
