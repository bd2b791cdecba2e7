"""Bugs of open slots that are known to be chosen, and of rivals there, planted as in ``planted_classic``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from dkv.actor import Address
from dkv.ballot import Ballot
from dkv.messages import AcceptedSlot, AcceptSlot, PrepareSlot, PromiseSlot, SlotChosen
from dkv.paxos.classic.acceptor import ClassicAcceptor
from dkv.paxos.slot_log import SlotLog
from dkv.records import SlotRecord, Value
from tests.sim.planted_classic import Turned, plant


@plant("B7")
def accepted_whatever_the_value() -> Iterator[None]:
    """Any value is called accepted at a slot that is chosen."""
    on_accept = ClassicAcceptor._on_accept_slot

    def accept_any(self: ClassicAcceptor, turn: Any, sender: Address, message: AcceptSlot) -> None:
        if self._log.is_chosen(message.slot):
            turn.send(sender, AcceptedSlot(message.ballot, message.slot))
        else:
            on_accept(self, turn, sender, message)

    with patch.object(ClassicAcceptor, "_on_accept_slot", accept_any):
        yield


@plant("B14b")
def offer_of_another_ballot() -> Iterator[None]:
    """The word that a slot is chosen is taken to be about whatever was last proposed for it."""
    on_chosen = ClassicAcceptor._on_slot_chosen

    def choose_last(self: ClassicAcceptor, turn: Any, sender: Address, message: SlotChosen) -> None:
        offers = [ballot for slot, ballot in self._offered if slot == message.slot]
        on_chosen(self, turn, sender, replace(message, ballot=offers[-1]) if offers else message)

    with patch.object(ClassicAcceptor, "_on_slot_chosen", choose_last):
        yield


@plant("B26")
def learned_as_if_accepted() -> Iterator[None]:
    """What is learned above a gap is stored without "chosen", in the ballot of an older vote or in none."""
    put = SlotLog._put

    def put_unchosen(self: SlotLog, turn: Any, slot: int, record: SlotRecord) -> None:
        put(self, turn, slot, replace(record, chosen=record.chosen and slot == self.chosen_through + 1))

    with patch.object(SlotLog, "_put", put_unchosen):
        yield


@plant("B26b")
def flag_lost_with_another_ballot() -> Iterator[None]:
    """What is known chosen is not, any more, once a rival's ballot is accepted there."""

    def accept(self: SlotLog, turn: Any, slot: int, ballot: Ballot, value: Value) -> None:
        self._put(turn, slot, SlotRecord(ballot, value))

    with patch.object(SlotLog, "accept", accept):
        yield


@plant("B26c")
def chosen_slot_left_out() -> Iterator[None]:
    """A Promise leaves out a slot that is known to be chosen, as if it were below ``chosen_through``."""
    on_prepare = ClassicAcceptor._on_prepare_slot

    def leave_out(self: ClassicAcceptor, turn: Any, sender: Address, message: PrepareSlot) -> None:
        def send(to: Address, sent: Any) -> None:
            if isinstance(sent, PromiseSlot) and self._log.is_chosen(sent.slot):
                sent = replace(sent, record=None)
            turn.send(to, sent)

        on_prepare(self, Turned(turn, send=send), sender, message)

    with patch.object(ClassicAcceptor, "_on_prepare_slot", leave_out):
        yield
