"""Bugs of classic mode, planted as in ``planted``: what goes wrong where every slot has ballots of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from dkv.actor import ACCEPTOR, Address
from dkv.ballot import ZERO, Ballot
from dkv.configurations import Configuration
from dkv.events import Origins
from dkv.gateway.gateway import Gateway
from dkv.keys import PROMISE, SLOT_BALLOT, SLOT_PROMISE, pack_ballot, unpack_ballot
from dkv.messages import AcceptedSlot, AcceptSlot, PrepareSlot, PromiseSlot, SlotChosen
from dkv.paxos.acceptor import Acceptor
from dkv.paxos.classic.acceptor import ClassicAcceptor
from dkv.paxos.classic.proposer import ClassicProposer, SlotStep
from dkv.paxos.classic.slot_promises import SlotPromises
from dkv.paxos.slot_log import SlotLog

Plant = Callable[[], Any]
CLASSIC_PLANTS: dict[str, Plant] = {}
"""Every planted bug by its number: a letter tells bugs of one kind apart."""


def plant(number: str) -> Callable[[Callable[[], Iterator[None]]], Plant]:
    """Register a bug that is there while its generator waits."""

    def register(function: Callable[[], Iterator[None]]) -> Plant:
        CLASSIC_PLANTS[number] = contextmanager(function)
        return CLASSIC_PLANTS[number]

    return register


class Turned:
    """A turn with some of its calls replaced."""

    def __init__(self, turn: Any, **calls: Any) -> None:
        self._turn = turn
        self.__dict__.update(calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._turn, name)


def _hasty(to_own_node: bool) -> Any:
    """An acceptor whose votes leave at once, for its own node's proposer or for the others."""
    receive = ClassicAcceptor.receive

    def hasty_receive(self: ClassicAcceptor, turn: Any, sender: Address, message: Any) -> None:
        def send(to: Address, sent: Any) -> None:
            early = isinstance(sent, PromiseSlot | AcceptedSlot) and (to.node == self._node) is to_own_node
            (turn.send_early if early else turn.send)(to, sent)

        receive(self, Turned(turn, send=send), sender, message)

    return patch.object(ClassicAcceptor, "receive", hasty_receive)


@plant("B1")
def reply_before_durable() -> Iterator[None]:
    """A promise or vote leaves for other nodes before it is on disk."""
    with _hasty(to_own_node=False):
        yield


@plant("B2")
def acknowledged_by_one_disk() -> Iterator[None]:
    """A slot counts as chosen when one disk has it."""
    on_accepted = ClassicProposer._on_accepted_slot

    def count_one(self: ClassicProposer, turn: Any, sender: Address, message: AcceptedSlot) -> None:
        with patch.object(Configuration, "decides", lambda self, nodes: bool(nodes)):
            on_accepted(self, turn, sender, message)

    with patch.object(ClassicProposer, "_on_accepted_slot", count_one):
        yield


@plant("B3")
def ballot_reused() -> Iterator[None]:
    """A ballot is announced before the proposer's own acceptor has it on disk, so that a restart may use it again."""
    on_origins = ClassicProposer._on_origins

    def announce_at_once(self: ClassicProposer, turn: Any, message: Origins) -> None:
        on_origins(self, turn, message)
        if self._step is SlotStep.RESERVING:
            for node in self._members.others:
                turn.send(Address(node, ACCEPTOR), PrepareSlot(self._ballot, self._slot))

    with patch.object(ClassicProposer, "_on_origins", announce_at_once):
        yield


@plant("B3b")
def reservation_not_strict() -> Iterator[None]:
    """A proposer's own acceptor grants it a ballot again that an earlier life of the node has used."""
    on_prepare = ClassicAcceptor._on_prepare_slot

    def grant_again(self: ClassicAcceptor, turn: Any, sender: Address, message: PrepareSlot) -> None:
        if sender.node == self._node and message.ballot == self._promised_for(message.slot):
            turn.send(sender, PromiseSlot(message.ballot, message.slot, self._log.record(turn, message.slot)))
        else:
            on_prepare(self, turn, sender, message)

    with patch.object(ClassicAcceptor, "_on_prepare_slot", grant_again):
        yield


@plant("B4")
def late_promise_counts() -> Iterator[None]:
    """A Promise counts whatever ballot and slot it is for."""
    on_promise = ClassicProposer._on_promise_slot

    def on_any_promise(self: ClassicProposer, turn: Any, sender: Address, message: PromiseSlot) -> None:
        if self._step is SlotStep.PREPARING:
            message = replace(message, ballot=self._ballot, slot=self._slot)
        on_promise(self, turn, sender, message)

    with patch.object(ClassicProposer, "_on_promise_slot", on_any_promise):
        yield


@plant("B5")
def accepting_raises_no_promise() -> Iterator[None]:
    """What was accepted for a slot does not count as a promise for it."""
    on_accept = ClassicAcceptor._on_accept_slot

    def accept_below(self: ClassicAcceptor, turn: Any, sender: Address, message: AcceptSlot) -> None:
        with patch.object(SlotLog, "accepted_in", lambda self, slot: ZERO):
            on_accept(self, turn, sender, message)

    with patch.object(ClassicAcceptor, "_on_accept_slot", accept_below):
        yield


@plant("B6")
def one_ballot_for_both() -> Iterator[None]:
    """A Promise reports what was accepted under the ballot that is promised."""
    on_prepare = ClassicAcceptor._on_prepare_slot

    def report_as_promised(self: ClassicAcceptor, turn: Any, sender: Address, message: PrepareSlot) -> None:
        def send(to: Address, sent: Any) -> None:
            if isinstance(sent, PromiseSlot) and sent.record is not None:
                sent = replace(sent, record=replace(sent.record, ballot=sent.ballot))
            turn.send(to, sent)

        on_prepare(self, Turned(turn, send=send), sender, message)

    with patch.object(ClassicAcceptor, "_on_prepare_slot", report_as_promised):
        yield


@plant("B8")
def promises_not_read_back() -> Iterator[None]:
    """An acceptor begins each life without the promises for single slots."""
    with patch.object(SlotPromises, "start", lambda self, turn, chosen_through: None):
        yield


@plant("B8b")
def promises_not_written() -> Iterator[None]:
    """A promise for a single slot stays in memory."""
    promise = SlotPromises.promise

    def forget(self: SlotPromises, turn: Any, slot: int, ballot: Ballot) -> None:
        def persist(key: bytes, value: bytes) -> None:
            if key[:1] not in (SLOT_PROMISE, SLOT_BALLOT):
                turn.persist(key, value)

        promise(self, Turned(turn, persist=persist), slot, ballot)

    with patch.object(SlotPromises, "promise", forget):
        yield


@plant("B10")
def read_before_its_batch() -> Iterator[None]:
    """A read is served when its batch is numbered, not when it is applied."""
    submit = Gateway._submit

    def serve_at_once(self: Gateway, turn: Any, leader: Address, runs: Any, barrier: int) -> None:
        submit(self, turn, leader, runs, 0)
        if barrier:
            self._reads.barrier(barrier, 0)
            self._read_next(turn)

    with patch.object(Gateway, "_submit", serve_at_once):
        yield


@plant("B14")
def own_value_taken_for_chosen() -> Iterator[None]:
    """An acceptor believes that a slot is chosen whatever ballot it accepted there."""
    on_chosen = ClassicAcceptor._on_slot_chosen

    def choose_any(self: ClassicAcceptor, turn: Any, sender: Address, message: SlotChosen) -> None:
        on_chosen(self, turn, sender, replace(message, ballot=self._log.accepted_in(message.slot)))

    with patch.object(ClassicAcceptor, "_on_slot_chosen", choose_any):
        yield


@plant("B23")
def own_answer_early() -> Iterator[None]:
    """An acceptor's answer reaches the proposer of its own node before its commit."""
    with _hasty(to_own_node=True):
        yield


@plant("B31")
def own_value_always() -> Iterator[None]:
    """A proposer insists on its own value though a quorum reported another."""

    def insist(self: ClassicProposer, turn: Any) -> None:
        self._try.promises = dict.fromkeys(self._try.promises)
        propose(self, turn)

    propose = ClassicProposer._propose
    with patch.object(ClassicProposer, "_propose", insist):
        yield


@plant("B30")
def leader_ignores_slots() -> Iterator[None]:
    """A life in leader mode does not know what was promised slot by slot; found where modes are mixed."""
    with patch.object(Acceptor, "_load_slot_promises", lambda self, turn: None):
        yield


@plant("B30b")
def leader_ignores_chosen_slots() -> Iterator[None]:
    """A life in leader mode covers open slots only; a leader that was there before goes on."""

    def load_open(self: Acceptor, turn: Any) -> None:
        promised = [Ballot(*unpack_ballot(stored)) for _, stored in turn.scan(SLOT_PROMISE)]
        accepted = [self._log.accepted_in(slot) for slot in self._log.open_slots(1)]
        self._promised = max([self._promised, *promised, *accepted, ZERO])
        turn.persist(PROMISE, pack_ballot(*self._promised))

    with patch.object(Acceptor, "_load_slot_promises", load_open):
        yield
