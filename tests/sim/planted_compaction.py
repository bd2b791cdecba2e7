"""Bugs of compaction, planted as in ``tests.sim.planted``: records that go too early, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from dkv.actor import Address
from dkv.events import WrittenBack
from dkv.keys import unpack_compacted
from dkv.messages import Accept, ChosenOtherwise, PrepareSlot, Promise, PromiseSlot
from dkv.paxos.acceptor import Acceptor
from dkv.paxos.classic.acceptor import ClassicAcceptor
from dkv.paxos.erasures import Erasures
from dkv.paxos.learner import Learner
from dkv.paxos.slot_log import SlotLog
from dkv.paxos.tail import Tail
from dkv.records import NO_DIGEST
from tests.sim.planted import Plant, plant

COMPACTION: dict[str, Plant] = {}
"""Every planted bug by the name of its test."""


class _Turned:
    """A turn of which some methods do something else."""

    def __init__(self, turn: Any, **methods: Any) -> None:
        self._turn = turn
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._turn, name)


@plant("compacted_to_what_is_chosen", COMPACTION)
def compacted_to_what_is_chosen() -> Iterator[None]:
    """An acceptor erases all that is chosen, whatever the learner has applied and written back."""
    compact = SlotLog.compact

    def compact_all(self: SlotLog, turn: Any, through: int) -> None:
        compact(self, turn, max(through, self.chosen_through))

    with patch.object(SlotLog, "compact", compact_all):
        yield


@plant("compacted_to_what_is_applied", COMPACTION)
def compacted_to_what_is_applied() -> Iterator[None]:
    """A learner compacts up to what it has applied in memory, and not up to what is written back."""
    on_written_back = Learner._on_written_back

    def all_applied(self: Learner, turn: Any, message: WrittenBack) -> None:
        on_written_back(self, turn, WrittenBack(self._applied_through))

    with patch.object(Learner, "_on_written_back", all_applied):
        yield


@plant("compacted_reported_as_empty", COMPACTION)
def compacted_reported_as_empty() -> Iterator[None]:
    """A Promise says what the log holds, and nothing of what was erased from it (B13)."""
    on_prepare = Acceptor._on_prepare

    def report_what_is_there(self: Acceptor, turn: Any, sender: Address, message: Any) -> None:
        def send(to: Address, sent: Any) -> None:
            if isinstance(sent, Promise) and sent.compacted_through:
                sent = replace(sent, chosen_through=0, compacted_through=0)
            turn.send(to, sent)

        on_prepare(self, _Turned(turn, send=send), sender, message)

    with patch.object(Acceptor, "_on_prepare", report_what_is_there):
        yield


@plant("compacted_slot_is_promised", COMPACTION)
def compacted_slot_is_promised() -> Iterator[None]:
    """In classic mode a slot without a record is open, also where the record was erased (B13)."""
    on_prepare = ClassicAcceptor._on_prepare_slot

    def promise_what_is_there(self: ClassicAcceptor, turn: Any, sender: Address, message: PrepareSlot) -> None:
        if message.slot <= self._log.compacted_through and sender.node != self._node:
            turn.send(sender, PromiseSlot(message.ballot, message.slot, None))
        else:
            on_prepare(self, turn, sender, message)

    with patch.object(ClassicAcceptor, "_on_prepare_slot", promise_what_is_there):
        yield


@plant("erased_slots_are_called_chosen_otherwise", COMPACTION)
def erased_slots_are_called_chosen_otherwise() -> Iterator[None]:
    """An Accept for a slot whose record is gone is taken for one with another value: its leader stops."""

    def refuse(self: Acceptor, turn: Any, sender: Address, message: Accept) -> None:
        turn.send(sender, ChosenOtherwise(message.ballot, message.slot))

    with patch.object(Acceptor, "_on_compacted_accept", refuse):
        yield


@plant("erased_before_the_mark", COMPACTION)
def erased_before_the_mark() -> Iterator[None]:
    """The mark is written some time, and the records before it go at once."""
    compact, erase_some = Tail.compact, Erasures.erase_some
    on_written_back = Learner._on_written_back

    def mark_later(self: Tail, turn: Any, written_through: int) -> int | None:
        return compact(self, _Turned(turn, persist=turn.stage), written_through)

    def tell_at_once(self: Learner, turn: Any, message: WrittenBack) -> None:
        on_written_back(self, _Turned(turn, send=turn.send_early), message)

    def erase_now(self: Erasures, turn: Any) -> None:
        erase_some(self, _Turned(turn, stage_erase=turn.persist_erase))

    with (
        patch.object(Tail, "compact", mark_later),
        patch.object(Learner, "_on_written_back", tell_at_once),
        patch.object(Erasures, "erase_some", erase_now),
    ):
        yield


@plant("digest_of_the_tail_alone", COMPACTION)
def digest_of_the_tail_alone() -> Iterator[None]:
    """After a restart the digest in the mark is that of the slots which are left, and not that of the whole log."""
    with patch("dkv.paxos.tail.unpack_compacted", lambda stored: (unpack_compacted(stored)[0], NO_DIGEST)):
        yield
