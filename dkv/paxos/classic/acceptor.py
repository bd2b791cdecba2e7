"""The acceptor in classic mode: promises and accepts for each slot by itself (Paxos Made Simple, section 2).

The promise for a slot is the highest of three: the promise for every slot, which a life in leader mode may have left;
the slot's own; and the ballot in which the slot was accepted (B5). Accepting leaves the other slots alone. What the
acceptor tells others is on disk before they hear it, as in leader mode (I2). The log, catch-up and members are those of
leader mode.

The node's own proposer is held to more. It needs a new round, on disk before a peer hears of it, so that no ballot is
used twice for a slot, whatever crashes (B3). And a round that another node uses in the slot is not free to it: of two
proposers in one round the second would only get in the way of the first.
"""

from __future__ import annotations

from dkv import noted
from dkv.actor import ACCEPTOR, PROPOSER, Address, Fenced, Turn
from dkv.ballot import Ballot
from dkv.configurations import Configurations
from dkv.events import TimerFired
from dkv.identity import Identity
from dkv.messages import (
    Accept,
    AcceptedSlot,
    AcceptSlot,
    ChosenMark,
    ChosenThrough,
    Confirm,
    NackSlot,
    Prepare,
    PrepareSlot,
    PromiseSlot,
    SlotChosen,
    SlotSettled,
)
from dkv.paxos.acceptor import Acceptor, AcceptorMessage
from dkv.paxos.classic.slot_promises import SlotPromises
from dkv.paxos.echoes import Echoes
from dkv.records import Value
from dkv.settings import Limits, Timings

ClassicAcceptorMessage = PrepareSlot | AcceptSlot | SlotChosen | ChosenThrough | AcceptorMessage

OFFERS_MAX = 4
"""Proposals kept for slots that are not known to be chosen."""


class ClassicAcceptor(Acceptor):
    """The acceptor of the node that ``identity`` names, of a cluster in classic mode."""

    def __init__(self, identity: Identity, configurations: Configurations, limits: Limits, timings: Timings) -> None:
        super().__init__(identity, configurations, limits)
        self._timings = timings
        self._slots = SlotPromises()
        self._echoes = Echoes(identity.node)
        self._offered: dict[tuple[int, Ballot], Value] = {}
        self._asked_slot = 0  # the slot that the node's own proposer is at; 0: it knows that it is settled

    def start(self, turn: Turn) -> None:
        """As in leader mode; then begin to tell the others how far this log is whole."""
        super().start(turn)
        self._echoes.start(turn.random.getrandbits(32))
        turn.set_timer("tell", self._timings.heartbeat_seconds)

    def receive(self, turn: Turn, sender: Address, message: ClassicAcceptorMessage) -> None:
        """React to one message."""
        match message:
            case PrepareSlot():
                self._on_prepare_slot(turn, sender, message)
            case AcceptSlot():
                self._on_accept_slot(turn, sender, message)
            case SlotChosen():
                self._on_slot_chosen(turn, sender, message)
            case ChosenThrough():
                self._on_chosen_through(turn, sender, message)
            case TimerFired("tell"):
                self._tell(turn)
            case Prepare() | Accept() | ChosenMark() | Confirm():
                return  # of leader mode, which nobody of this mode speaks
            case _:
                super().receive(turn, sender, message)

    def _load_slot_promises(self, turn: Turn) -> None:
        self._slots.start(turn, self._log.chosen_through)

    def _promised_for(self, slot: int) -> Ballot:
        return max(self._promised, self._slots.of(slot), self._log.accepted_in(slot))

    @property
    def _highest_ballot(self) -> Ballot:
        return max(self._promised, self._slots.highest)

    # --- phase 1 ---

    def _on_prepare_slot(self, turn: Turn, sender: Address, message: PrepareSlot) -> None:
        """Phase 1b for one slot: accept nothing below the ballot there any more, and say what was accepted there."""
        ballot, slot, own = message.ballot, message.slot, sender.node == self._node
        if slot <= self._log.chosen_through:
            self._send_settled(turn, sender, slot)  # No ballot can change that: the proposer had better fetch it.
            return
        if own:
            self._asked_slot = slot
        if not self._voting:
            self._withhold(turn, ballot)  # It may have forgotten a vote of an earlier directory (B12).
            return
        promised = self._promised_for(slot)
        # A peer's ballot must not be below the promise (I1). The own proposer's must be of a new round (B3).
        if ballot.round <= promised.round if own else ballot < promised:
            turn.send(sender, NackSlot(ballot, slot, promised, self._promised))
            return
        if ballot > promised:
            self._slots.promise(turn, slot, ballot)
            self._count.cast(turn)
        turn.send(
            sender, PromiseSlot(ballot, slot, self._log.record(turn, slot), self._count.votes, self._time.now(turn))
        )

    # --- phase 2 ---

    def _on_accept_slot(self, turn: Turn, sender: Address, message: AcceptSlot) -> None:
        """Phase 2b for one slot: accept the value, unless a higher ballot was promised there (P1a)."""
        ballot, slot = message.ballot, message.slot
        if not self._voting:
            self._withhold(turn, ballot)  # As above (B12).
            return
        held, accepted_in = self._log.record(turn, slot), self._log.accepted_in(slot)
        otherwise = held is not None and held.value != message.value
        if slot <= self._log.chosen_through or (otherwise and self._log.is_chosen(slot)):
            self._send_settled(turn, sender, slot)  # "Accepted" would be a lie: another value may be chosen (B7).
            return
        promised = self._promised_for(slot)
        self._remember(message)
        if ballot < promised:
            turn.send(sender, NackSlot(ballot, slot, promised, self._promised))
            return
        if ballot > accepted_in:
            self._log.accept(turn, slot, ballot, message.value)
            self._slots.accepted(turn, ballot)
            self._count.cast(turn)
        elif otherwise:
            return  # No proposer has two values for one ballot.
        self._time.follow(turn, (slot, ballot), message.clock)
        turn.send(sender, AcceptedSlot(ballot, slot, self._count.votes))
        self._log.save_mark(turn)

    def _send_settled(self, turn: Turn, to: Address, slot: int) -> None:
        # Early: that a slot is chosen rests on a quorum's disks, not on this one.
        turn.send_early(to, SlotSettled(slot, self._log.chosen_through))

    # --- what is chosen ---

    def _remember(self, message: AcceptSlot) -> None:
        """Keep what a ballot proposed, whether it is accepted here or not: a quorum without this node may choose it."""
        self._offered[message.slot, message.ballot] = message.value
        if len(self._offered) > OFFERS_MAX:
            del self._offered[next(iter(self._offered))]

    def _on_slot_chosen(self, turn: Turn, sender: Address, message: SlotChosen) -> None:
        """A proposer counted a quorum: the one value that its ballot proposed for the slot is chosen (I3).

        What another ballot proposed may be another value (B14). A value that is not known here is fetched.
        """
        ballot, slot = message.ballot, message.slot
        value = self._offered.get((slot, ballot))
        if value is None and self._log.accepted_in(slot) == ballot:
            record = self._log.record(turn, slot)
            value = None if record is None else record.value
        if value is not None and not self._log.choose(turn, slot, value):
            turn.note(noted.chosen_value_conflict, slot=slot)
            raise Fenced(f"node {sender.node} counted another value for slot {slot} than the one that is chosen here")
        self._log.hear_of(slot)
        self._advance(turn, sender.node)

    def _advance(self, turn: Turn, source: int) -> None:
        super()._advance(turn, source)
        through = self._log.chosen_through
        self._slots.settle(turn, through)
        for offer in [offer for offer in self._offered if offer[0] <= through]:
            del self._offered[offer]
        if 0 < self._asked_slot <= through:
            self._send_settled(turn, self._here(PROPOSER), self._asked_slot)
            self._asked_slot = 0

    def _on_chosen_through(self, turn: Turn, sender: Address, message: ChosenThrough) -> None:
        """A peer says how far its log is whole: what is missing here can be fetched. It also echoes this node (B41)."""
        self._log.hear_of(message.through)
        self._advance(turn, sender.node)
        self._echoes.heard(sender.node, message)
        self._note_proof(turn)

    def _note_proof(self, turn: Turn) -> None:
        """Note it if a quorum heard this node and answered: what it proposes could be decided (B41)."""
        proof = self._echoes.take_proof(self._members.in_force)
        if proof is not None:
            at, through = proof
            turn.note(noted.may_serve, at=at, through=max(through, self._log.chosen_through))

    def _tell(self, turn: Turn) -> None:
        """Say how far this log is whole, again and again: a peer that missed a slot does not know that it did."""
        number = self._echoes.tell(turn.now)
        for node in self._members.others:
            told = ChosenThrough(self._log.chosen_through, number, self._echoes.of(node))
            turn.send_early(Address(node, ACCEPTOR), told)
        self._note_proof(turn)  # which a node without peers has at once
        turn.set_timer("tell", self._timings.heartbeat_seconds)
