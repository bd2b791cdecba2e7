"""One lead: phase 2 in one ballot, for slot after slot (Paxos Made Simple, sections 2.2 and 3).

Phase 1 covered all slots to come, so a value needs no more than its Accepts and the Accepteds of a quorum. First come
the values that phase 1 found, which may be chosen already; then the batches that gateways submit. Invariants: no slot
is given two values in this ballot (I3), as each slot is taken once (``Window``); ``chosen_through`` counts the base of
phase 1 and then only slots for which this leadership counted a quorum of Accepteds in its own ballot (B25); a read's
barrier is confirmed by a quorum in a round that began after the read arrived (I11).

Members change meanwhile, so every "quorum" is one of the set that decides the slot in question. A slot is proposed only
if it is known who decides it, and a quorum of these has promised the ballot, whenever that was (I6). New voters are
asked for the same promise, and what they report counts for the slots that are not proposed yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from sys import maxsize
from typing import assert_never

from dkv import configurations, noted
from dkv.actor import ACCEPTOR, ELECTOR, LEARNER, PROPOSER, Address, Turn
from dkv.events import Due, Flush, Leading, Origins, ReportApplied, ReportOrigins, StepDown
from dkv.messages import (
    Accept,
    Accepted,
    Barrier,
    BarrierRequest,
    ChosenMark,
    Confirm,
    Confirmed,
    Prepare,
    Promise,
    Submit,
)
from dkv.paxos.batch_queue import BatchQueue, slot_bytes_max
from dkv.paxos.chosen_marks import ChosenMarks
from dkv.paxos.due_slots import DueSlots
from dkv.paxos.known_members import KnownMembers
from dkv.paxos.lead_time import LeadTime
from dkv.paxos.pace import Pace
from dkv.paxos.promise_tally import PromiseTally
from dkv.paxos.promised import Promised
from dkv.paxos.read_rounds import ReadRounds
from dkv.paxos.window import Window
from dkv.records import NOOP, Value
from dkv.settings import Limits, Timings

LeadershipMessage = Accepted | Submit | BarrierRequest | Confirmed | Flush | Origins

EARLY_SUBMITS_MAX = 64
"""Submits kept while a new leader does not know yet what each origin's next batch is; origins resend the rest."""

SLEPT = "this machine has slept, or its time of day was set ahead: the next lead asks what time it is"

MARK_SECONDS = 0.002
"""How long the leader may delay a ChosenMark to a node with no waiting clients. An Accept usually carries it sooner."""


class Leadership:
    """The lead of ``node`` in the ballot of ``tally``; all up to slot ``base`` is known chosen.

    The Promises that the tally holds by now report nothing above ``base`` as chosen. ``time`` gives the stamps.
    """

    def __init__(
        self,
        tally: PromiseTally,
        base: int,
        node: int,
        members: KnownMembers,
        limits: Limits,
        timings: Timings,
        time: LeadTime,
        due: Due,
    ) -> None:
        self._ballot = tally.ballot
        self._promised = Promised(tally, base)
        self._found = self._promised.found
        self._node = node
        self._members = members
        self._everyone: tuple[int, ...] = ()  # to whom it sends
        self._timings = timings
        self._slot_bytes_max = slot_bytes_max(limits)
        self._window = Window(base, node, limits.window_slots_max, limits.window_bytes_max)
        self._reported_through = base  # which slot the learner is asked to apply before it reports the origins
        self._fill_through = 0  # up to where no-ops are proposed, so that a set takes force
        # The next slot beyond which the learner is asked how far it has come.
        self._ask_beyond = members.applied + configurations.ALPHA // 2
        self._early: list[tuple[Address, Submit]] = []
        self._queue: BatchQueue | None = None  # None: what is each origin's next batch is not known yet
        self._marks = ChosenMarks(self._everyone)
        self._announcing = False
        self._rounds = ReadRounds(members.of(base + 1))
        self._flushing = False
        self._pace = Pace()
        self._time = time
        self._dues = DueSlots(due)

    def begin(self, turn: Turn) -> None:
        """Phase 1 is done: tell the node so, and propose what phase 1 found."""
        base = self._window.chosen_through
        self._learn_members(turn)
        turn.note(noted.leading, ballot=self._ballot, chosen_through=base, recovering=self._found.through - base)
        turn.send(Address(self._node, ELECTOR), Leading(self._ballot))
        self._ask_origins(turn)
        turn.set_timer("retransmit", self._timings.retransmit_seconds)
        self._propose(turn)
        self._announce(turn, self._everyone)

    @property
    def chosen_through(self) -> int:
        """Up to which slot this lead has counted everything chosen."""
        return self._window.chosen_through

    def receive(self, turn: Turn, sender: Address, message: LeadershipMessage) -> None:
        """React to one message that came while this lead lasts."""
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
            case Origins():
                self._on_origins(turn, message)
            case _:
                assert_never(message)

    # --- batches ---

    def _on_submit(self, turn: Turn, sender: Address, message: Submit) -> None:
        """A gateway has batches to agree on. Of each origin only the next one is taken, so that none runs twice."""
        if self._queue is None:
            if len(self._early) < EARLY_SUBMITS_MAX:
                self._early.append((sender, message))
            return
        for batch in message.batches:
            if batch.node != sender.node:
                # Only the origin numbers its batches: a stranger's could take the number of another one (B28).
                turn.note(noted.foreign_batch_refused, origin=batch.node, peer=sender.node)
                return
            want = self._queue.take(batch)
            if want is not None:
                turn.send(sender, want)
                return
        self._flush_soon(turn)

    def _on_origins(self, turn: Turn, message: Origins) -> None:
        """The learner has applied all that phase 1 found, and so knows the last batch of each origin."""
        if message.ballot != self._ballot or self._queue is not None:
            return  # An answer to an earlier lead may not count what this one recovered.
        if self._reported_through < self._found.through:
            self._ask_origins(turn)  # A late Promise has reported more, which the learner has not applied.
            return
        self._queue = BatchQueue(message.marks)
        self._time.saw(message.time)
        early, self._early = self._early, []
        for sender, submit in early:
            self._on_submit(turn, sender, submit)
        self._flush_soon(turn)  # something may be due

    def _ask_origins(self, turn: Turn) -> None:
        self._reported_through = self._found.through
        turn.send(Address(self._node, LEARNER), ReportOrigins(self._ballot, self._reported_through))

    # --- phase 2 ---

    def _flush_soon(self, turn: Turn) -> None:
        """Act once on all that is in the mailbox by now: one slot for many batches, one mark for many slots."""
        if not self._flushing:
            self._flushing = True
            turn.send(Address(self._node, PROPOSER), Flush())

    def _on_flush(self, turn: Turn) -> None:
        """All that was in the mailbox is counted: propose, announce, and ask for confirmation."""
        self._flushing = False
        self._propose(turn)
        self._announce(turn, self._window.take_origins())
        if not self._announcing and self._marks.least < self._window.chosen_through:
            self._announcing = True
            turn.set_timer("announce", MARK_SECONDS)
        self._begin_round(turn)

    def _propose(self, turn: Turn) -> None:
        """Phase 2a: ask all acceptors to accept the next values, as far as the window has room."""
        if self._window.next_slot > self._ask_beyond:
            self._ask_beyond = maxsize  # until it has answered
            turn.send(Address(self._node, LEARNER), ReportApplied(self._members.applied + 1))
        while self._window.has_room():
            slot = self._window.next_slot
            if slot <= self._found.through:
                value = self._found.take(slot)
                self._saw(value)
            elif self._time.leapt(turn.now, turn.wall_ms):
                turn.send(Address(self._node, PROPOSER), StepDown(SLEPT))
                return
            elif self._queue:
                if self._pace.holds_back(turn, slot, self._window.chosen_through):
                    return
                value = self._queue.next_value(self._slot_bytes_max, self._time.stamp(turn.now))
            elif slot <= self._fill_through:
                value = NOOP
            elif self._queue is not None and self._dues.wanted(turn, self._time.now(turn.now)):
                value = Value(time=self._time.stamp(turn.now))
                self._dues.proposed(slot, value.time, turn.now)
            else:
                return
            self._window.propose(self._members.of(slot), value, turn.now)
            turn.note(noted.proposed)
            accept = Accept(self._ballot, slot, value, self._window.chosen_through, self._time.now(turn.now))
            for node in self._everyone:
                turn.send(Address(node, ACCEPTOR), accept)
            self._marks.tell(self._everyone, accept.chosen_through)

    def _saw(self, value: Value) -> None:
        """What was found late may be the next batch of an origin, which the learner has not counted yet."""
        self._time.saw(value.time)
        if self._queue is not None:
            for batch in value.batches:
                self._queue.saw(batch)

    def look_again(self, turn: Turn, timer: str) -> None:
        """The timer ``pace`` or ``due`` has fired: a slot that had to wait may be proposed now."""
        if timer == "pace":
            self._pace.waited()
        else:
            self._dues.looked()
        self._flush_soon(turn)

    def on_due(self, turn: Turn, message: Due) -> None:
        """The learner says when a slot is wanted though nobody writes."""
        self._dues.due = message
        self._flush_soon(turn)

    def _on_accepted(self, turn: Turn, sender: Address, message: Accepted) -> None:
        """An acceptor has the value on its disk. A value that a quorum has accepted in one ballot is chosen."""
        if message.ballot != self._ballot:
            return  # Votes of two ballots make no quorum: the acceptor may hold another value by now.
        self._pace.heard(sender.node, message.chosen_through, self._window.chosen_through, turn.now)
        if self._window.accepted(sender.node, message.slot):
            self._flush_soon(turn)
            if self._promised.kept:
                self._promised.count(self._window.chosen_through, self._window.next_slot)
                self._allow()

    def _announce(self, turn: Turn, nodes: Iterable[int]) -> None:
        """Tell the mark to those of the nodes that were not told it, by an Accept or by this (section 2.3)."""
        mark = ChosenMark(self._ballot, self._window.chosen_through)
        for node in self._marks.tell(nodes, mark.chosen_through):
            turn.send(Address(node, ACCEPTOR), mark)

    def announce_to_all(self, turn: Turn) -> None:
        """The timer ``announce`` has fired: those that wait for nothing hear of the chosen slots, too."""
        self._announcing = False
        self._announce(turn, self._everyone)

    # --- read barriers (Ongaro's dissertation, section 6.4) ---

    def _on_barrier_request(self, turn: Turn, sender: Address, message: BarrierRequest) -> None:
        """A gateway has reads to serve: which slots must it have applied to see every acknowledged write?"""
        self._rounds.request(sender, message)
        self._flush_soon(turn)

    def _begin_round(self, turn: Turn) -> None:
        """Ask the acceptors whether a higher ballot was promised; this node's by message like the rest (B27).

        Not before all that phase 1 found is chosen in this ballot: an earlier leader may have acknowledged any of it.
        Those who decide the next slot confirm that no later leader has acknowledged it. A quorum of them must have
        promised this ballot, or it could be an earlier leader's.
        """
        through = self._window.chosen_through
        if through >= self._found.through and through < self._window.allowed_through:
            if self._rounds.begin(self._members.of(through + 1), turn.now):
                self._ask_confirmation(turn, self._everyone)

    def _ask_confirmation(self, turn: Turn, nodes: Iterable[int]) -> None:
        """Ask those of the nodes that have not confirmed the round under way."""
        if self._rounds.under_way:
            confirm = Confirm(self._ballot, self._rounds.round)
            for node in sorted(set(nodes) - self._rounds.confirmed):
                turn.send(Address(node, ACCEPTOR), confirm)

    def _on_confirmed(self, turn: Turn, sender: Address, message: Confirmed) -> None:
        """An acceptor has promised nothing above this ballot. With a quorum no later leader had chosen anything."""
        rounds = self._rounds
        if message != Confirmed(self._ballot, rounds.round):
            return  # An earlier round began before the reads of this one arrived: they could be served stale (B32).
        rounds.confirmed.add(sender.node)
        if rounds.is_confirmed:
            for gateway, request in rounds.end():
                self._announce(turn, (gateway.node,))
                turn.send(gateway, Barrier(request.boot, request.number, self._window.chosen_through))
            self._begin_round(turn)

    # --- members that change ---

    def members_are(self, turn: Turn) -> None:
        """The log has come to another set, or one takes force: ask new voters for their promise, and fill up to it.

        All that were members hear at once what is chosen. For those who leave it is the last that they hear, and those
        who decide from now on must know it even if this leader leaves.
        """
        self._announce(turn, self._everyone)
        self._learn_members(turn)
        self._renew_round(turn)
        self._ask_promises(turn, self._everyone)
        self._flush_soon(turn)

    def _learn_members(self, turn: Turn) -> None:
        members = self._members
        self._everyone = tuple(sorted(members.all | {self._node}))  # a leader that was removed finishes what it can
        self._marks.know(self._everyone)
        self._pace.know(members.all, members.all.difference(*(each.voters for each in members.each)), turn.now)
        self._fill_through = members.configurations.newest.from_slot - 1
        self._allow()

    def _allow(self) -> None:
        """See which slots may be proposed, after more is applied or promised."""
        self._window.allowed_through = self._promised.allowed_through(self._members, self._window.next_slot)

    def applied_more(self, turn: Turn) -> None:
        """The learner has come further, so it is known of more slots who decides them."""
        waiting = self._window.next_slot > self._window.allowed_through
        self._ask_beyond = self._members.applied + configurations.ALPHA // 2
        self._allow()
        if waiting:
            self._flush_soon(turn)

    def on_promise(self, turn: Turn, sender: Address, message: Promise) -> None:
        """A Promise has come after the quorum with which this lead began."""
        if self._promised.lacking:
            self._promised.add(sender.node, message, turn.now, self._window.chosen_through, self._window.next_slot)
            self._allow()
            self._flush_soon(turn)

    def _ask_promises(self, turn: Turn, nodes: Iterable[int]) -> None:
        """Ask those of the nodes whose Promise is needed for the same ballot."""
        for node in self._promised.missing(nodes):
            turn.send(Address(node, ACCEPTOR), Prepare(self._ballot, self._window.next_slot))

    def _renew_round(self, turn: Turn) -> None:
        """Those who were to confirm the round under way may be gone, once others decide the next slot."""
        if self._rounds.under_way and self._rounds.decided_by != self._members.of(self._window.chosen_through + 1):
            self._rounds.begin_again()
            self._begin_round(turn)

    def hindrance(self) -> str | None:
        """Why this lead cannot go on, in words for the log; None if it can."""
        next_slot, members = self._window.next_slot, self._members
        if members.applied >= next_slot > self._found.through:
            return f"slot {next_slot} is chosen, and not by this leader"
        if members.has_forgotten(self._window.chosen_through + 1):
            return f"it is forgotten who decides slot {self._window.chosen_through + 1}"
        if self._promised.kept and (ahead := self._promised.ahead(members, next_slot)):
            return f"node {ahead[0]} knows slot {next_slot} to be chosen"
        return None

    def concerns(self, node: int) -> bool:
        """Whether the node is a member that has to take in a slot that this lead still has to count."""
        first = min(self._members.applied, self._window.chosen_through) + 1
        return any(node in each.members for each in self._members.following(first))

    # --- what may be lost is sent again ---

    def own_disk_silent_seconds(self, now: float) -> float:
        """For how long the node's own acceptor has owed an answer: with a stuck disk another node had better lead."""
        return self._window.own_disk_silent_seconds(now)

    def send_again(self, turn: Turn) -> None:
        """The timer ``retransmit`` has fired: send what is overdue to those that have not answered it."""
        for slot, proposal in self._window.take_overdue(turn.now, self._timings.retransmit_seconds):
            for node in sorted(proposal.configuration.voters.union(self._everyone)):
                if node != self._node and node not in proposal.accepted_by:
                    self._send_accept(turn, node, slot, proposal.value)
        self._renew_round(turn)
        if turn.now - self._rounds.begun_at >= self._timings.retransmit_seconds:
            self._ask_confirmation(turn, self._everyone)
        self._ask_promises(turn, self._everyone)
        self._pace.note(turn, self._window.chosen_through)
        self._marks = ChosenMarks(self._everyone)  # what was told may be lost
        self._announce(turn, self._everyone)
        turn.set_timer("retransmit", self._timings.retransmit_seconds)

    def send_all_to(self, turn: Turn, node: int) -> None:
        """``node`` is connected anew, and what was sent to it may be lost: send all that it has not answered."""
        for slot, proposal in self._window:
            if node not in proposal.accepted_by:
                self._send_accept(turn, node, slot, proposal.value)
        self._ask_promises(turn, (node,))
        self._ask_confirmation(turn, (node,))
        turn.send(Address(node, ACCEPTOR), ChosenMark(self._ballot, self._window.chosen_through))

    def _send_accept(self, turn: Turn, node: int, slot: int, value: Value) -> None:
        time = self._time.now(turn.now)
        turn.send(Address(node, ACCEPTOR), Accept(self._ballot, slot, value, self._window.chosen_through, time))
