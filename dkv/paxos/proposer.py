"""The proposer: runs phase 1 when told to, and leads when that succeeds (Paxos Made Simple, sections 2.2 and 3).

::

    IDLE --Campaign--> RESERVING --own Promise, on disk--> PREPARING --quorum of Promises--> CATCHING_UP --> LEADING

Who decides the first slot to propose is known only when enough is applied. If no quorum of these has promised by then,
CATCHING_UP leads back to PREPARING. A higher ballot met anywhere leads back to IDLE. Phase 1 asks two things of a
quorum: to accept nothing below the new ballot any more, and to say what was accepted so far. One Prepare does so for
every slot to come, so a leader needs it once for each node. Phase 2 is in ``dkv.paxos.leadership``.

Invariants: a ballot's round exceeds every round that this node durably saw, and its own acceptor has it on disk before
a peer hears of it (I5, B3); nothing is proposed before a quorum promised *this* ballot, and then the strongest values
that it reported come first (I6, B4).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import assert_never

from dkv import noted
from dkv.actor import ACCEPTOR, CATCHUP, ELECTOR, LEARNER, Address, Turn
from dkv.ballot import ZERO, Ballot
from dkv.configurations import Configurations, needed_for
from dkv.events import (
    AppliedThrough,
    Campaign,
    CatchUp,
    CaughtUp,
    ClocksAre,
    Due,
    Flush,
    MembersAre,
    Origins,
    PeerUp,
    PromiseRaised,
    ReportApplied,
    StepDown,
    Stopped,
    TimerFired,
)
from dkv.messages import Accepted, BarrierRequest, ChosenOtherwise, Confirmed, GiveWay, Nack, Prepare, Promise, Submit
from dkv.paxos.backoff import backoff
from dkv.paxos.clock_watch import ClockWatch
from dkv.paxos.due_slots import NOTHING_DUE
from dkv.paxos.known_members import KnownMembers
from dkv.paxos.lead_time import LeadTime
from dkv.paxos.leadership import SLEPT, Leadership, LeadershipMessage
from dkv.paxos.promise_tally import PromiseTally
from dkv.settings import Limits, Timings

_FromAcceptors = Promise | Nack | ChosenOtherwise | GiveWay | PromiseRaised
_FromThisNode = Campaign | StepDown | CaughtUp | MembersAre | AppliedThrough | ClocksAre | Due
ProposerMessage = LeadershipMessage | _FromAcceptors | _FromThisNode | PeerUp | TimerFired


class Step(Enum):
    """How far the proposer has come on its way to lead; see the picture above."""

    IDLE = auto()
    RESERVING = auto()
    PREPARING = auto()
    CATCHING_UP = auto()
    LEADING = auto()


class Proposer:
    """One proposer of the cluster; ``node`` is its own id, ``configurations`` are the sets of members."""

    def __init__(self, node: int, configurations: Configurations, limits: Limits, timings: Timings) -> None:
        self._node = node
        self._members = KnownMembers(node, configurations)
        self._limits = limits
        self._timings = timings
        self._highest = ZERO  # the highest ballot met
        self._ballot = ZERO
        self._step = Step.IDLE
        self._began_at = 0.0  # when phase 1 began, in monotonic seconds
        self._asked_times = 1  # how often its Prepares went out
        self._tally = PromiseTally(ZERO)
        self._held_through = 0
        self._leadership: Leadership | None = None  # while LEADING, as is the next one
        self._time: LeadTime | None = None
        self._due = NOTHING_DUE
        self._watch = ClockWatch()

    def start(self, turn: Turn) -> None:
        """Nothing is kept on disk: the acceptor says at its start which ballot it has promised."""

    def receive(self, turn: Turn, sender: Address, message: ProposerMessage) -> None:
        """React to one message."""
        match message:
            case Accepted() | Submit() | BarrierRequest() | Confirmed() | Flush() | Origins():
                # A node that does not lead passes no Submit on, which could go in circles: its gateway sends it again.
                if self._leadership is not None:
                    self._leadership.receive(turn, sender, message)
            case Promise():
                self._on_promise(turn, sender, message)
            case Nack():
                self._on_nack(turn, sender, message)
            case ChosenOtherwise():
                self._on_chosen_otherwise(turn, message)
            case GiveWay():
                self._on_give_way(turn, sender, message)
            case PromiseRaised():
                self._on_promise_raised(turn, message)
            case Campaign():
                self._on_campaign(turn)
            case CaughtUp():
                self._on_caught_up(turn, message)
            case MembersAre():
                self._on_members_are(turn, message)
            case AppliedThrough():
                self._on_applied_through(turn, message)
            case ClocksAre():
                if self._time is not None:
                    self._on_clocks(turn, self._time, message)
            case Due():
                self._due = message
                if self._leadership is not None:
                    self._leadership.on_due(turn, message)
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
        """The elector found a majority that hears no leader."""
        if self._step is Step.IDLE:
            self._campaign(turn)  # At any other step phase 1 is under way, or done.

    def _campaign(self, turn: Turn) -> None:
        """Reserve a new ballot: the node's own acceptor has it on disk before anyone else hears of it (B3)."""
        self._ballot = self._highest = self._highest.above(self._node)
        self._step = Step.RESERVING
        self._tally = PromiseTally(self._ballot)
        self._began_at, self._asked_times = turn.now, 1
        turn.note(noted.phase1_started, ballot=self._ballot)
        turn.send(self._acceptor(self._node), Prepare(self._ballot, 1))
        turn.set_timer("retransmit", self._timings.retransmit_seconds)
        turn.set_timer("progress", self._timings.phase1_idle_seconds)

    def _on_promise(self, turn: Turn, sender: Address, message: Promise) -> None:
        """Phase 1b: an acceptor accepts nothing below the ballot any more, and says what it accepted so far."""
        if message.ballot != self._ballot:
            return  # A late Promise of an earlier ballot: what was accepted since is missing in it (B4).
        if not self._members.is_known(sender.node):
            return  # A node that is no member decides nothing.
        if self._leadership is not None and self._time is not None:
            self._time.promised(sender.node, message.clock - turn.now * 1000)
            self._leadership.on_promise(turn, sender, message)
            self._go_on(turn)
            return
        if self._step not in (Step.RESERVING, Step.PREPARING):
            return  # A quorum has answered.
        self._tally.add(sender.node, message, turn.now)
        turn.set_timer("progress", self._timings.phase1_idle_seconds)
        if self._step is Step.RESERVING and self._node in self._tally.reported():
            self._step = Step.PREPARING
            self._held_through = message.chosen_through
            self._send_prepare_again(turn, self._members.all)
        self._go_on(turn)

    def _has_quorum(self, slot: int) -> bool:
        """Whether a quorum of those who decide ``slot`` has promised this ballot."""
        return self._members.of(slot).decides(self._tally.reported())

    def _catch_up_or_lead(self, turn: Turn) -> None:
        """A quorum promised. What it knows to be chosen must not be proposed anew, so the node fetches it first."""
        base, holder = self._tally.base()
        if base <= self._held_through:
            self._apply_or_lead(turn)
            return
        turn.send(Address(self._node, CATCHUP), CatchUp(self._held_through + 1, base, holder))
        if self._tally.within_reach(self._held_through):
            self._step = Step.CATCHING_UP
        else:  # A snapshot takes time. Until it is here, ballot after ballot would only keep others from leading.
            self._stop(turn, self._ballot, f"the slots after {self._held_through} are compacted where they were held")

    def _apply_or_lead(self, turn: Turn) -> None:
        """All that is known to be chosen is held. Who decides the next slot is known once enough of that is applied."""
        next_slot = self._held_through + 1
        if self._members.applied < needed_for(next_slot):
            self._step = Step.CATCHING_UP
            turn.send(Address(self._node, LEARNER), ReportApplied(needed_for(next_slot)))
        elif self._has_quorum(next_slot):
            self._lead(turn, self._held_through)
        elif self._step is Step.CATCHING_UP:
            self._step = Step.PREPARING
            self._send_prepare_again(turn, self._members.all)

    def _on_members_are(self, turn: Turn, message: MembersAre) -> None:
        """The log has come to another set of members, or one takes force."""
        before = self._members.all
        self._members.update(message)
        if self._leadership is None:
            if not self._members.has_forgotten(self._held_through + 1):
                # What is applied is held. Those who decide an earlier slot may have gone, and promise nothing any more.
                self._held_through = max(self._held_through, message.applied)
            self._send_prepare_again(turn, self._members.all - before)
            self._go_on(turn)
            return
        self._go_on(turn)
        if self._step is Step.LEADING:
            self._leadership.members_are(turn)

    def _on_applied_through(self, turn: Turn, message: AppliedThrough) -> None:
        """The state machine has come as far as was asked."""
        self._members.advance(message.through)
        if self._leadership is not None:
            self._leadership.applied_more(turn)
        self._go_on(turn)

    def _go_on(self, turn: Turn) -> None:
        """More was promised, or is known of the members: go on with phase 1, or see whether the lead still can."""
        if self._leadership is not None:
            hindrance = self._leadership.hindrance()
            if hindrance is not None:
                self._stop(turn, self._ballot, hindrance)
        elif self._step is not Step.IDLE and self._members.has_forgotten(self._held_through + 1):
            # A snapshot has come meanwhile. A new campaign begins behind it.
            self._stop(turn, self._ballot, f"it is forgotten who decides slot {self._held_through + 1}")
        elif self._step is Step.PREPARING and self._has_quorum(self._held_through + 1):
            self._catch_up_or_lead(turn)
        elif self._step is Step.CATCHING_UP and self._held_through >= self._tally.base()[0]:
            self._apply_or_lead(turn)

    def _on_caught_up(self, turn: Turn, message: CaughtUp) -> None:
        """The node holds more chosen slots: perhaps all that its quorum knew of, so that it can lead."""
        held, self._held_through = self._held_through, max(self._held_through, message.chosen_through)
        if self._step is not Step.CATCHING_UP:
            return  # Without a quorum of Promises nothing allows it to lead (I6), however much it holds.
        if self._held_through < self._tally.base()[0] and self._held_through > held:
            turn.set_timer("progress", self._timings.phase1_idle_seconds)
        self._go_on(turn)

    def _lead(self, turn: Turn, base: int) -> None:
        """Phase 1 and its catch-up are done: propose what it found, then what gateways send."""
        self._step = Step.LEADING
        turn.cancel_timer("progress")
        members, wall = self._members, turn.wall_ms - turn.now * 1000
        self._time = LeadTime(self._tally.clocks(), members.of(base + 1), wall)
        settings = self._limits, self._timings
        self._leadership = Leadership(self._tally, base, self._node, members, *settings, self._time, self._due)
        self._leadership.begin(turn)

    def _on_clocks(self, turn: Turn, time: LeadTime, message: ClocksAre) -> None:
        """The wall clocks of those that have answered a heartbeat: the time follows a quorum of them."""
        clocks = dict(message.clocks)
        time.clocks_are(turn.now, clocks, self._members.in_force)
        self._watch.look(turn, time.now(turn.now), clocks)

    # --- being overtaken, or stuck ---

    def _on_nack(self, turn: Turn, sender: Address, message: Nack) -> None:
        """An acceptor has promised a higher ballot: phase 1 or 2 of this one may never find its quorum.

        A removed node that campaigns alone must not end lead after lead. A standby has no vote. But what it has
        promised keeps it from all that is proposed in a lower ballot, so a lead ends, and the next one is above that.
        """
        self._highest = max(self._highest, message.promised)
        if message.ballot == self._ballot and message.promised > self._ballot and self._concerns(sender.node):
            self._stop(turn, message.promised, "an acceptor has promised a higher ballot")

    def _concerns(self, node: int) -> bool:
        if self._leadership is not None:
            return self._leadership.concerns(node)
        return any(node in each.voters for each in self._members.each)

    def _on_promise_raised(self, turn: Turn, message: PromiseRaised) -> None:
        """The own acceptor made a promise, or tells at its start of the last one: no ballot below it is used again."""
        self._highest = max(self._highest, message.ballot)
        if message.ballot > self._ballot:
            self._stop(turn, message.ballot, "this node's acceptor has promised a higher ballot")

    def _on_chosen_otherwise(self, turn: Turn, message: ChosenOtherwise) -> None:
        """An acceptor knows another value to be chosen for a slot of this ballot: the ballot is of no more use (B7)."""
        if message.ballot == self._ballot:
            self._stop(turn, self._ballot, f"slot {message.slot} is chosen with another value")

    def _on_give_way(self, turn: Turn, sender: Address, message: GiveWay) -> None:
        """An acceptor has compacted slots that this leader finishes. It never votes there: let another node lead.

        If the leader has counted these slots by now, its Accept was only late.
        """
        if self._leadership is not None and message.ballot == self._ballot:
            if self._leadership.chosen_through < message.compacted_through:
                through = message.compacted_through
                self._stop(turn, self._ballot, f"node {sender.node} has applied and compacted all up to slot {through}")

    def _stop(self, turn: Turn, by: Ballot, reason: str) -> None:
        """Give the ballot up. What it has proposed may be chosen all the same: the next leader will find it."""
        if self._step is Step.IDLE:
            return
        led = self._step is Step.LEADING
        turn.note(noted.stepped_down if led else noted.phase1_ended, ballot=self._ballot, by=by, reason=reason)
        self._step = Step.IDLE
        self._leadership = self._time = None
        for timer in ("retransmit", "announce", "pace", "due", "progress"):
            turn.cancel_timer(timer)
        turn.send(Address(self._node, ELECTOR), Stopped(self._ballot, by, led))

    # --- what may be lost is sent again ---

    def _on_timer(self, turn: Turn, message: TimerFired) -> None:
        """Messages between nodes may be lost, and nodes may be dead: ask again, or ask others."""
        if message.name == "announce":
            if self._leadership is not None:
                self._leadership.announce_to_all(turn)
        elif message.name in ("pace", "due"):
            if self._leadership is not None:
                self._leadership.look_again(turn, message.name)
        elif message.name == "retransmit":
            self._send_again(turn)
        elif self._step is Step.CATCHING_UP and self._held_through >= self._tally.base()[0]:
            self._stop(turn, self._ballot, "this node has not applied what it holds in time")
        elif self._step is Step.CATCHING_UP:
            self._campaign(turn)  # The node that reported what is missing may be dead: another quorum may know less.
        elif self._step is not Step.LEADING:
            self._stop(turn, self._ballot, "no quorum promised it in time")

    def _send_again(self, turn: Turn) -> None:
        if self._leadership is not None:
            silent = self._leadership.own_disk_silent_seconds(turn.now)
            if silent > self._timings.stuck_disk_seconds:
                self._stop(turn, self._ballot, f"this node's disk has not answered for {silent:.1f} s")
                return
            if self._time is not None and self._time.leapt(turn.now, turn.wall_ms):
                self._stop(turn, self._ballot, SLEPT)
                return
            self._leadership.send_again(turn)
            self._go_on(turn)
        elif self._step is not Step.IDLE:
            self._send_prepare_again(turn, self._members.all)
            self._asked_times += 1
            turn.set_timer("retransmit", self._timings.retransmit_seconds * backoff(self._asked_times))

    def _on_peer_up(self, turn: Turn, message: PeerUp) -> None:
        """What was sent to the peer may be lost: send again all that it has not answered."""
        if not self._members.is_known(message.node):
            return
        if self._leadership is not None:
            self._leadership.send_all_to(turn, message.node)
        elif turn.now - self._began_at < self._timings.election_seconds_max:
            # Later, a leader may have been found without this node; the poll that allowed the campaign is too old.
            self._send_prepare_again(turn, (message.node,))

    def _send_prepare_again(self, turn: Turn, nodes: Iterable[int]) -> None:
        if self._step is Step.RESERVING and self._node in nodes:
            turn.send(self._acceptor(self._node), Prepare(self._ballot, 1))
        elif self._step is Step.PREPARING:
            for node in sorted(set(nodes) - self._tally.reported() - {self._node}):
                turn.send(self._acceptor(node), Prepare(self._ballot, self._held_through + 1))

    def _acceptor(self, node: int) -> Address:
        return Address(node, ACCEPTOR)
