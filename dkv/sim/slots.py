"""The invariants of classic mode, in which every slot has its own promises and ballots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dkv.actor import ACCEPTOR, PROPOSER, Address
from dkv.ballot import Ballot
from dkv.keys import PROMISE, SLOT_BALLOT, SLOT_PROMISE, slot_of, unpack_ballot
from dkv.messages import AcceptSlot, ChosenThrough, PrepareSlot, PromiseSlot, SlotChosen, SlotSettled
from dkv.records import SlotRecord
from dkv.sim.chosen import Chosen
from dkv.sim.ondisk import OnDisk
from dkv.sim.simulated_node import SimulatedNode


@dataclass(slots=True)
class _Attempt:
    """Facts about one ballot in one slot: the life that it belongs to, and the promises that it got."""

    boot: int
    announced: bool = False
    proposed: bool = False
    promises: dict[int, SlotRecord | None] = field(default_factory=dict)


class SlotRules:
    """Hears of messages and commits, and calls ``violated(sentence)`` if a rule is broken."""

    def __init__(
        self,
        disks: Mapping[int, OnDisk],
        wiped: set[int],
        chosen: Chosen,
        violated: Callable[[str], None],
    ) -> None:
        self._disks = disks
        self._wiped = wiped
        self._chosen = chosen
        self._violated = violated
        self._attempts: dict[tuple[int, Ballot], _Attempt] = {}

    # --- disks ---

    def durable(self, node: int, writes: dict[bytes, bytes | None]) -> None:
        """Check the promises for single slots in a commit, whose marks were taken in before."""
        disk = self._disks[node]
        stored = writes.get(SLOT_BALLOT)
        if stored is not None:
            ballot = Ballot(*unpack_ballot(stored))
            if ballot < disk.slot_ballot:
                self._violated(f"I1: node {node} lowered its highest ballot from {disk.slot_ballot} to {ballot}")
            disk.slot_ballot = ballot
        for key, value in writes.items():
            if key[:1] == SLOT_PROMISE:
                self._check_promise_of_slot(node, disk, slot_of(key), value, PROMISE in writes)

    def _check_promise_of_slot(self, node: int, disk: OnDisk, slot: int, value: bytes | None, covered: bool) -> None:
        held = disk.slot_promises.pop(slot, None)
        if value is not None:
            disk.slot_promises[slot] = Ballot(*unpack_ballot(value))
            if held is not None and disk.slot_promises[slot] < held:
                self._violated(f"I1: the promise of node {node} for slot {slot} fell from {held}")
        elif held is not None and slot > disk.settled_through and disk.promised < held:
            self._violated(f"I1: node {node} forgot that it had promised {held} for slot {slot}, which is open")

    # --- messages leaving a node, or sent within one ---

    def sending(self, node: SimulatedNode, to: Address, message: Any) -> None:
        """Check a message of a node before it leaves."""
        match message:
            case PromiseSlot() if node.number in self._wiped and to.node != node.number:
                self._violated(f"node {node.number} voted though its disk was lost: it may have voted before")
            case PrepareSlot():
                self._check_prepare(node, to, message)
            case AcceptSlot():
                self._check_accept(message)
            case SlotChosen():
                if not self._chosen.counted(message.slot, message.ballot):
                    self._violated(
                        f"I7: slot {message.slot} was called chosen in ballot {message.ballot} before it was"
                    )
            case ChosenThrough():
                self._check_through(node.number, message.through)
            case SlotSettled():
                self._check_through(node.number, message.chosen_through)
                if message.slot not in self._chosen.values:
                    self._violated(f"I7: node {node.number} called slot {message.slot} settled, which is not chosen")

    def _check_through(self, node: int, through: int) -> None:
        if through > self._chosen.through:
            self._violated(f"I7: node {node} says that all up to slot {through} is chosen, which is not so")

    def _check_prepare(self, node: SimulatedNode, to: Address, message: PrepareSlot) -> None:
        slot, ballot = message.slot, message.ballot
        if to.node == node.number:
            return  # It is a question until it is granted: nobody else has heard of the ballot.
        attempt = self._attempts.get((slot, ballot))
        if attempt is None or attempt.boot != node.boot or ballot.node != node.number:
            self._violated(f"I5: ballot {ballot} was used for slot {slot} by another life or node than reserved it")
            return
        attempt.announced = True
        if not self._disks[node.number].has_promised(slot, ballot):
            self._violated(f"I5: node {node.number} sent a Prepare in {ballot} for slot {slot} before its own promise")

    def _reserved(self, node: SimulatedNode, slot: int, ballot: Ballot) -> None:
        """The node's own acceptor has promised it."""
        attempt = self._attempts.get((slot, ballot))
        if attempt is None or (attempt.boot != node.boot and not attempt.announced):
            self._attempts[slot, ballot] = _Attempt(node.boot)
        elif attempt.boot != node.boot:
            self._violated(f"I5: ballot {ballot} was reserved for slot {slot} by two lives of node {node.number}")

    def _check_accept(self, message: AcceptSlot) -> None:
        slot, ballot = message.slot, message.ballot
        attempt = self._attempts.get((slot, ballot))
        config = self._chosen.config(slot)
        if attempt is None or config is None or not config.decides(attempt.promises):
            self._violated(
                f"I6: an Accept for slot {slot} left in ballot {ballot}, which no quorum has promised for it"
            )
            return
        records = [record for record in attempt.promises.values() if record is not None]
        if records and not attempt.proposed:
            strongest = max(records, key=lambda record: (record.chosen, record.ballot))
            if message.value != strongest.value:
                self._violated(f"I6: ballot {ballot} proposed another value for slot {slot} than was reported to it")
        attempt.proposed = True
        complaint = self._chosen.proposed(slot, ballot, message.value)
        if complaint is not None:
            self._violated(f"I3: {complaint}")

    # --- messages about to be handled ---

    def delivered(self, node: SimulatedNode, role: str, sender: Address, message: Any) -> None:
        """Check a message that an actor is about to handle; one of another node was checked when it left."""
        if isinstance(message, PromiseSlot) and role == PROPOSER:
            self._check_promise(node, sender.node, message)
        elif sender.node == node.number and role in (ACCEPTOR, PROPOSER):
            self.sending(node, Address(node.number, role), message)

    def _check_promise(self, node: SimulatedNode, sender: int, message: PromiseSlot) -> None:
        slot, ballot, disk = message.slot, message.ballot, self._disks[sender]
        if sender == node.number:
            self._reserved(node, slot, ballot)
        attempt = self._attempts.get((slot, ballot))
        if attempt is None:
            self._violated(f"I6: a Promise for slot {slot} in {ballot}, which nobody has begun")
            return
        if sender not in self._wiped:  # A vote that was on its way when a disk was lost had been on that disk.
            if not disk.has_promised(slot, ballot):
                self._violated(
                    f"I2: the Promise of node {sender} for slot {slot} in {ballot} was delivered before its commit"
                )
            held = disk.records.get(slot)
            if held is not None and not held.chosen and held.ballot < ballot:
                if message.record is None or message.record.ballot < held.ballot:
                    self._violated(
                        f"I4: the Promise {ballot} of node {sender} does not report what it holds for {slot}"
                    )
        if ballot.node == node.number:
            attempt.promises.setdefault(sender, message.record)
