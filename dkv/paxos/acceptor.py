"""The acceptor: it promises, accepts and remembers (Paxos Made Simple, section 2.2; for many slots, section 3).

A value is chosen when a majority of acceptors has accepted it in one ballot. Two majorities share an acceptor, so a
later proposer that asks a majority hears of the value, as long as acceptors keep to two rules: promise nothing below
what was promised, and forget nothing.

State: one promised ballot, valid for every slot, and the log. Invariants: the promise never falls (I1); what the
acceptor tells others is on disk before they hear it (I2, which the host sees to); a Promise reports every record above
``chosen_through`` (I4); accepting raises the promise (B5); a chosen slot is never given another value (B7).

It does not vote until the log names its directory, or, as a first member, until it has stored the incarnation of every
other one. A node whose disk was lost and initialised anew gets to neither (B12, ``dkv.paxos.met_members``).
"""

from __future__ import annotations

from typing import assert_never

from dkv import noted
from dkv.actor import CATCHUP, ELECTOR, LEARNER, PROPOSER, Address, Fenced, Turn
from dkv.ballot import ZERO, Ballot
from dkv.configurations import Configurations
from dkv.events import (
    Applied,
    AppliedElsewhere,
    Compacted,
    Learn,
    Learned,
    LogHeld,
    MembersAre,
    Missing,
    PeerMet,
    PeerUp,
    Progress,
    PromiseRaised,
    TimerFired,
)
from dkv.identity import Identity
from dkv.keys import PROMISE, SLOT_BALLOT, SLOT_PROMISE, pack_ballot, unpack_ballot
from dkv.messages import (
    Accept,
    Accepted,
    ChosenMark,
    ChosenOtherwise,
    Confirm,
    Confirmed,
    GiveWay,
    Nack,
    Prepare,
    Promise,
    Voted,
)
from dkv.paxos.held_mark import HeldMark
from dkv.paxos.held_time import HeldTime
from dkv.paxos.known_members import KnownMembers
from dkv.paxos.met_members import MetMembers
from dkv.paxos.slot_log import SlotLog
from dkv.paxos.vote_count import VoteCount
from dkv.records import SlotRecord, value_bytes
from dkv.settings import Limits
from dkv.state_messages import ChosenSlots, CompactedThrough, ReadChosen

_FromNodes = Prepare | Accept | ChosenMark | Confirm | ReadChosen | Voted
_FromLearner = Applied | AppliedElsewhere | Compacted | MembersAre
AcceptorMessage = _FromNodes | _FromLearner | Learn | LogHeld | PeerMet | PeerUp | TimerFired

PROGRESS_SLOTS = 256
"""How far ``chosen_through`` moves between two reports to the elector, which needs it only roughly."""

ERASE_SECONDS = 0.02
"""How long after some records were erased the next ones follow: erasing must not keep the node from its work."""


class Acceptor:
    """The acceptor of the node that ``identity`` names."""

    def __init__(self, identity: Identity, configurations: Configurations, limits: Limits) -> None:
        self._node = identity.node
        self._members = KnownMembers(identity.node, configurations)
        self._met = MetMembers(identity, configurations)
        self._limits = limits
        self._promised = ZERO
        self._log = SlotLog(limits.erasures_max)
        self._held = HeldMark(identity.node, self._log)
        self._time = HeldTime()
        self._count = VoteCount()
        self._pushed_through = 0
        self._reported_through = 0
        self._behind = False
        self._withheld = False

    def receive(self, turn: Turn, sender: Address, message: AcceptorMessage) -> None:
        """React to one message."""
        match message:
            case Accept():
                self._on_accept(turn, sender, message)
            case ChosenMark():
                self._on_chosen_mark(turn, sender, message)
            case Confirm():
                self._on_confirm(turn, sender, message)
            case ReadChosen():
                self._on_read_chosen(turn, sender, message)
            case Prepare():
                self._on_prepare(turn, sender, message)
            case Learn():
                self._on_learn(turn, sender, message)
            case Applied():
                self._on_applied(turn, message)
            case AppliedElsewhere():
                self._on_applied_elsewhere(turn, message)
            case Compacted():
                self._on_compacted(turn, message)
            case Voted():
                self._met.voted(turn, sender.node, message)
            case PeerMet():
                self._met.met(turn, message)
            case PeerUp():
                self._on_peer_up(turn, message)
            case MembersAre():
                self._on_members_are(turn, message)
            case LogHeld():
                self._held.reached(turn, message)
            case TimerFired("held"):
                self._held.write(turn)
            case TimerFired("erase"):
                self._erase(turn)
            case TimerFired():
                self._count.tell_later_votes()
                self._count.tell(turn, self._members.others, self._highest_ballot)
            case _:
                assert_never(message)

    def start(self, turn: Turn) -> None:
        """Load promise, members and log; tell the node's own proposer which ballots are used, and the elector."""
        stored = turn.load(PROMISE)
        if stored is not None:
            self._promised = Ballot(*unpack_ballot(stored))
        self._met.start(turn)
        self._count.start(turn)
        self._log.start(turn)
        self._time.start(turn)
        self._pushed_through = self._log.chosen_through
        self._load_slot_promises(turn)
        turn.note(noted.promised, ballot=self._promised)
        turn.note(noted.chosen, through=self._log.chosen_through)
        turn.send(self._here(PROPOSER), PromiseRaised(self._promised))
        if self._log.erasures:
            turn.set_timer("erase", ERASE_SECONDS)
        if self._voting:
            self._report_progress(turn)

    def _load_slot_promises(self, turn: Turn) -> None:
        """Let the promise for every slot cover what a life in classic mode promised and accepted slot by slot (B30).

        Slots that are chosen count as well: a leader from before that life must not go on (ADR 0004).
        """
        stored = turn.load(SLOT_BALLOT)
        if stored is not None and Ballot(*unpack_ballot(stored)) > self._promised:
            self._promised = Ballot(*unpack_ballot(stored))
            turn.persist(PROMISE, stored)
        for key, _ in list(turn.scan(SLOT_PROMISE)):
            turn.persist_erase(key)

    @property
    def _voting(self) -> bool:
        return self._met.may_vote

    def _may_vote(self, turn: Turn, sender: Address, ballot: Ballot) -> bool:
        """Whether this acceptor may vote in ``ballot``. A proposer that was overtaken is told so."""
        if not self._voting:
            self._withhold(turn, ballot)  # It may have forgotten a vote of an earlier directory (B12).
            return False
        if ballot < self._promised:
            turn.send(sender, Nack(ballot, self._promised))  # A vote would break the promise (I1).
            return False
        return True

    def _withhold(self, turn: Turn, ballot: Ballot) -> None:
        if not self._withheld:
            self._withheld = True
            turn.note(noted.vote_withheld, ballot=ballot, unseen=sorted(self._met.unseen))

    # --- phase 1 ---

    def _on_prepare(self, turn: Turn, sender: Address, message: Prepare) -> None:
        """Phase 1b: accept nothing below the ballot from here on, in any slot, and say what was accepted so far.

        The promise covers the slots below ``from_slot`` as well: that only says which ones the proposer knows (B24).
        """
        if not self._may_vote(turn, sender, message.ballot):
            return
        self._raise_promise(turn, message.ballot)
        chosen, compacted = self._log.chosen_through, self._log.compacted_through
        chunks, report = self._report(turn, message.from_slot), turn.random.getrandbits(62)
        held = self._count.votes, self._time.now(turn)
        for number, records in enumerate(chunks):
            part = (report, number, len(chunks), tuple(records))
            turn.send(sender, Promise(message.ballot, chosen, compacted, *part, *held))

    def _report(self, turn: Turn, from_slot: int) -> list[list[tuple[int, SlotRecord]]]:
        """Every record above ``chosen_through`` from ``from_slot`` on, in chunks of bounded bytes, one at least."""
        chunks: list[list[tuple[int, SlotRecord]]] = [[]]
        size = 0
        for slot in self._log.open_slots(from_slot):
            record = self._log.record(turn, slot)
            assert record is not None, f"open slot {slot} has no record"
            size += value_bytes(record.value)
            if chunks[-1] and size > self._limits.catchup_bytes_max:
                chunks.append([])
                size = value_bytes(record.value)
            chunks[-1].append((slot, record))
        return chunks

    def _raise_promise(self, turn: Turn, ballot: Ballot) -> None:
        assert ballot >= self._promised
        if ballot == self._promised:
            return
        self._promised = ballot
        turn.note(noted.promised, ballot=ballot)
        turn.persist(PROMISE, pack_ballot(*ballot))
        self._count.cast(turn)
        if ballot.node != self._node:
            for role in (PROPOSER, ELECTOR):
                turn.send_early(self._here(role), PromiseRaised(ballot))

    # --- phase 2 ---

    def _on_accept(self, turn: Turn, sender: Address, message: Accept) -> None:
        """Phase 2b: accept the value, unless a higher ballot was promised (P1a). This is the vote that chooses."""
        if not self._may_vote(turn, sender, message.ballot):
            return
        if message.slot <= self._log.compacted_through:
            self._on_compacted_accept(turn, sender, message)
            return
        self._raise_promise(turn, message.ballot)  # Or a lower ballot could still take the slot back (B5).
        if self._accept(turn, message):
            self._time.follow(turn, message.ballot, message.clock)
            votes, through = self._count.votes, self._log.chosen_through
            turn.send(sender, Accepted(message.ballot, message.slot, votes, through))
        else:
            turn.send(sender, ChosenOtherwise(message.ballot, message.slot))
        self._log.mark(turn, message.ballot, message.chosen_through)
        self._log.save_mark(turn)
        self._advance(turn, sender.node)

    def _on_compacted_accept(self, turn: Turn, sender: Address, message: Accept) -> None:
        """The value that is chosen there is erased. "Accepted" might be a lie (B7), and so might "chosen otherwise".

        A leader that has counted the slot meanwhile wants no answer. To another one this acceptor's vote is lost.
        """
        if not self._log.counted(message.ballot, message.slot):
            turn.send(sender, GiveWay(message.ballot, self._log.compacted_through))

    def _accept(self, turn: Turn, message: Accept) -> bool:
        """Record the vote unless it is recorded already; False if the slot is settled with another value."""
        held_in = self._log.accepted_in(message.slot)
        if self._log.is_chosen(message.slot) or held_in == message.ballot:
            # Sent again, or another value than the chosen one, to which "accepted" would be a lie (B7).
            record = self._log.record(turn, message.slot)
            return record is not None and record.value == message.value
        self._log.accept(turn, message.slot, message.ballot, message.value)
        self._count.cast(turn)
        return True

    def _on_chosen_mark(self, turn: Turn, sender: Address, message: ChosenMark) -> None:
        """The leader counted a quorum for all slots up to a mark: what was accepted here in its ballot is chosen (2.3).

        That stays true after the leader was overtaken; the Nack lets it know that it was.
        """
        if self._voting and message.ballot < self._promised:
            turn.send(sender, Nack(message.ballot, self._promised))
        self._log.mark(turn, message.ballot, message.chosen_through)
        self._advance(turn, sender.node)

    def _advance(self, turn: Turn, source: int) -> None:
        """Hand the learner what became chosen, without waiting for this disk: others hold it. Report a gap."""
        through = self._log.chosen_through
        if through > self._pushed_through:
            values = self._log.values_to_apply(turn, self._pushed_through + 1)
            turn.send_early(self._here(LEARNER), ChosenSlots(self._pushed_through + 1, values, through))
            self._pushed_through = through
            turn.note(noted.chosen, through=through)
            self._follow_disk(turn)
            if self._voting and through - self._reported_through >= PROGRESS_SLOTS:
                self._report_progress(turn)
        behind = through < self._log.marked_through
        if behind or self._behind:
            turn.send(self._here(CATCHUP), Missing(through + 1, self._log.marked_through, source))
        self._behind = behind

    # --- reads ---

    def _on_confirm(self, turn: Turn, sender: Address, message: Confirm) -> None:
        """A leader asks whether it was overtaken. If a quorum says no, no later leader has chosen anything (I11)."""
        if not self._may_vote(turn, sender, message.ballot):
            return
        # Early: it says what was not promised, which no loss of this disk's last writes can make untrue.
        turn.send_early(sender, Confirmed(message.ballot, message.round))

    # --- catch-up ---

    def _on_read_chosen(self, turn: Turn, sender: Address, message: ReadChosen) -> None:
        """A node that missed chosen slots asks for them: as many as fit one bounded answer (B17)."""
        first = max(message.from_slot, 1)
        if first <= self._log.compacted_through:
            turn.send_early(sender, CompactedThrough(self._log.compacted_through))
            return
        if sender == self._here(LEARNER):
            values = self._log.values_to_apply(turn, first)
        else:
            values = self._log.chosen_values(turn, first, self._limits.catchup_bytes_max)
        # Early: that a value is chosen rests on a quorum's disks, not on this one.
        turn.send_early(sender, ChosenSlots(first, values, self._log.chosen_through))

    def _on_learn(self, turn: Turn, sender: Address, message: Learn) -> None:
        """Chosen values came from a peer. They are stored as chosen, which counts more than any ballot (B26)."""
        for slot, value in enumerate(message.values, message.first_slot):
            if not self._log.learn(turn, slot, value):
                # Two chosen values for one slot (I8): one of the two logs is wrong, and this one must not go on.
                turn.note(noted.chosen_value_conflict, slot=slot)
                raise Fenced(f"a peer holds another chosen value for slot {slot} than the one that is chosen here")
            turn.note(noted.learned, slot=slot)
        self._log.save_mark(turn)
        self._advance(turn, self._node)
        turn.send(sender, Learned(self._log.chosen_through))

    def _on_applied(self, turn: Turn, message: Applied) -> None:
        """What the state machine has applied is chosen, though the stored mark may be older."""
        self._log.applied(turn, message.through)
        self._advance(turn, self._node)

    def _on_applied_elsewhere(self, turn: Turn, message: AppliedElsewhere) -> None:
        """What a peer has applied is chosen: where it is missing here it can be fetched."""
        self._log.hear_of(message.through)
        self._advance(turn, message.node)

    # --- compaction ---

    def _on_compacted(self, turn: Turn, message: Compacted) -> None:
        """The learner says what the log may forget. The elector hears of it: it helps no candidate that is behind.

        If a snapshot stands for these slots, some of them may not have been known here to be chosen.
        """
        self._log.compact(turn, message.through)
        if message.through > self._pushed_through:
            self._pushed_through = message.through
            turn.note(noted.chosen, through=message.through)
        self._advance(turn, self._node)
        if self._voting:
            self._report_progress(turn)
        self._erase(turn)

    def _erase(self, turn: Turn) -> None:
        """Erase some records, and go on in a moment. Their mark is on disk already, and they follow it there."""
        self._log.erasures.erase_some(turn)
        if self._log.erasures:
            turn.set_timer("erase", ERASE_SECONDS)

    # --- members ---

    def _on_peer_up(self, turn: Turn, message: PeerUp) -> None:
        """A member is connected: tell it the votes of this disk. If it is new, one member fewer is waited for."""
        self._count.tell(turn, (message.node,), self._highest_ballot)
        voted_before = self._voting
        self._met.up(turn, message)
        if self._voting and not voted_before:
            turn.note(noted.voting, members="all seen")
            self._report_progress(turn)

    def _on_members_are(self, turn: Turn, message: MembersAre) -> None:
        """The log says who the members are, and perhaps that this directory is one of them."""
        voted_before = self._voting
        self._members.update(message)
        self._met.named(message.configurations.record(self._node))
        self._follow_disk(turn)
        if self._voting and not voted_before:
            turn.note(noted.voting, members="named by the log")
            self._report_progress(turn)

    def _follow_disk(self, turn: Turn) -> None:
        """Keep ``held`` up to date. Before the first change of members nobody asks for it."""
        if self._members.configurations.newest.slot > 0:
            self._held.follow(turn)

    @property
    def _highest_ballot(self) -> Ballot:
        """The highest one promised or accepted in any slot."""
        return self._promised

    def _report_progress(self, turn: Turn) -> None:
        """Tell the elector, which takes no part in elections before it hears this once."""
        self._reported_through = self._log.chosen_through
        turn.note(noted.votes)
        turn.send(self._here(ELECTOR), Progress(self._log.chosen_through, self._log.compacted_through))

    def _here(self, role: str) -> Address:
        return Address(self._node, role)
