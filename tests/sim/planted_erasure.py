"""Bugs of deadlines, planted as in ``planted``: when a key is gone, for whom, and when it is erased.

All of them are looked for in both modes, unless classic mode does not have what they break.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from sys import maxsize
from typing import Any
from unittest.mock import patch

from dkv.actor import GATEWAY, Address
from dkv.client_events import ReadResults
from dkv.events import Due
from dkv.gateway.gateway import Gateway
from dkv.keys import TIME
from dkv.kv.appliers import other_keys
from dkv.kv.erasure import Eraser
from dkv.kv.expiry import DeadlineIndex
from dkv.kv.keyspace import Keyspace
from dkv.kv.machine import Machine
from dkv.messages import Barrier
from dkv.paxos.classic.filling import Filling
from dkv.paxos.due_slots import DueSlots
from dkv.paxos.leadership import Leadership
from dkv.paxos.learner import Learner
from tests.sim.planted import Plant, plant
from tests.sim.planted_classic import Turned
from tests.sim.planted_snapshots import leaves_out

ERASURES: dict[str, Plant] = {}
"""Every planted bug by its name."""


@contextmanager
def _judged_at(machine: Any, time: int) -> Iterator[None]:
    """While entered, the machine takes it to be ``time``."""
    keyspace = machine._keyspace
    held, keyspace.time = keyspace.time, time
    yield
    keyspace.time = held


# --- the time that keys are judged by ---


@plant("snapshot_without_time", ERASURES)
def snapshot_without_time() -> Iterator[None]:
    """A snapshot has keys with their deadlines, and not the time: with it the node begins at none."""
    with leaves_out(TIME):
        yield


@plant("read_by_the_local_clock", ERASURES)
def read_by_the_local_clock() -> Iterator[None]:
    """A node judges by its own clock whether a key that somebody reads has expired."""
    read = Machine.read

    def read_now(self: Machine, turn: Any, entries: Any) -> Any:
        with _judged_at(self, turn.wall_ms):
            return read(self, turn, entries)

    with patch.object(Machine, "read", read_now):
        yield


@plant("read_by_the_time_of_its_barrier", ERASURES)
def read_by_the_time_of_its_barrier() -> Iterator[None]:
    """The leader says with a barrier what time it is, and by that time the reads behind it are judged."""
    on_confirmed, on_barrier = Leadership._on_confirmed, Gateway._on_barrier
    told: dict[tuple[int, int, int], int] = {}

    def confirmed(self: Leadership, turn: Any, sender: Address, message: Any) -> None:
        def send(to: Address, sent: Any) -> None:
            if isinstance(sent, Barrier):
                told[to.node, sent.boot, sent.number] = self._time.now(turn.now)
            turn.send(to, sent)

        on_confirmed(self, Turned(turn, send=send), sender, message)

    def barrier(self: Gateway, turn: Any, message: Barrier) -> None:
        time = told[self._identity.node, message.boot, message.number]
        on_barrier(self, turn, Barrier(message.boot, message.number, _Through(message.through, time)))

    def serve(self: Learner, turn: Any) -> None:
        while self._reads and self._reads[0].through <= self._applied_through:
            read = self._reads.popleft()
            time = max(self._machine.time, getattr(read.through, "time", 0))
            with _judged_at(self._machine, time):
                results = self._machine.read(turn, read.entries)
            turn.send(self._here(GATEWAY), ReadResults(read.number, results, self._applied_through))

    with (
        patch.object(Leadership, "_on_confirmed", confirmed),
        patch.object(Gateway, "_on_barrier", barrier),
        patch.object(Learner, "_serve_reads", serve),
    ):
        yield


class _Through(int):
    """A slot, and the time that the leader told with it."""

    time: int

    def __new__(cls, slot: int, time: int) -> _Through:
        self = super().__new__(cls, slot)
        self.time = time
        return self


# --- when keys are erased ---


@plant("erased_a_slot_later_after_a_restart", ERASURES)
def erased_a_slot_later_after_a_restart() -> Iterator[None]:
    """The first slot after a restart, or after a snapshot, erases nothing: the node leaves it to the next one."""
    start, erase = Eraser.start, Eraser.erase
    fresh: set[Eraser] = set()

    def begin(self: Eraser) -> None:
        start(self)
        fresh.add(self)

    def erase_unless_fresh(self: Eraser, turn: Any) -> None:
        if self in fresh:
            fresh.discard(self)
        else:
            erase(self, turn)

    with patch.multiple(Eraser, start=begin, erase=erase_unless_fresh):
        yield


@plant("erased_as_far_as_memory_has_them", ERASURES)
def erased_as_far_as_memory_has_them() -> Iterator[None]:
    """A slot erases what the front of the index has of it; how much that is depends on when it was read last."""

    def passed(self: DeadlineIndex, turn: Any, time: int, count: int) -> list[tuple[int, bytes]]:
        return self.passed_in_front(time, count)

    with patch.object(DeadlineIndex, "passed", passed):
        yield


# --- the index of deadlines ---


@plant("deadline_outlives_its_value", ERASURES)
def deadline_outlives_its_value() -> Iterator[None]:
    """Where a value without a deadline replaces one with a deadline, the stored index keeps that: the value will go."""
    prepare = Keyspace._prepare

    def prepare_only(self: Keyspace, turn: Any, db: int, name: bytes, stored: bytes | None, deadline: int) -> None:
        prepare(self, turn if deadline else Turned(turn, stage_erase=lambda key: None), db, name, stored, deadline)

    with patch.object(Keyspace, "_prepare", prepare_only):
        yield


@plant("deadline_is_not_renamed", ERASURES)
def deadline_is_not_renamed() -> Iterator[None]:
    """A key that got the value of another one, with its deadline, is not in the stored index: it may never go."""
    add, renamed = DeadlineIndex.add, other_keys._renamed

    def add_in_memory(self: DeadlineIndex, turn: Any, deadline: int, name: bytes) -> None:
        add(self, Turned(turn, stage=lambda key, value: None), deadline, name)

    def rename(keyspace: Keyspace, turn: Any, db: int, source: bytes, to: bytes) -> bool:
        with patch.object(DeadlineIndex, "add", add_in_memory):
            return renamed(keyspace, turn, db, source, to)

    with patch.object(other_keys, "_renamed", rename):
        yield


# --- slots that are wanted though nobody writes ---


@plant("no_slot_for_a_deadline", ERASURES)
def no_slot_for_a_deadline() -> Iterator[None]:
    """Where nobody writes nobody proposes a slot: keys stay whose deadlines have passed."""
    with (
        patch.object(DueSlots, "wanted", lambda self, turn, time: False),
        patch.object(Filling, "due", lambda self, turn, members, due: None),
    ):
        yield


@plant("slots_without_end", ERASURES)
def slots_without_end() -> Iterator[None]:
    """A slot without batches follows the other as long as there is any deadline, however far ahead."""
    due_in_classic_mode = Filling.due

    def wanted(self: DueSlots, turn: Any, time: int) -> bool:
        return self.due.at != maxsize

    def due(self: Filling, turn: Any, members: Any, due: Due) -> None:
        due_in_classic_mode(self, turn, members, due if due.at == maxsize else replace(due, at=due.time))

    with patch.object(DueSlots, "wanted", wanted), patch.object(Filling, "due", due):
        yield


@plant("slot_that_came_early_is_not_waited_for", ERASURES)
def slot_that_came_early_is_not_waited_for() -> Iterator[None]:
    """In classic mode, when a slot falls short of its deadline, another one follows at once, up to the deadline."""
    with patch.object(Filling, "applied", lambda self, turn, members, time: None):
        yield


@plant("slot_for_what_is_under_way", ERASURES)
def slot_for_what_is_under_way() -> Iterator[None]:
    """A leader forgets that a slot is under way for a deadline, and proposes more of them until that is applied."""
    with patch.object(DueSlots, "proposed", lambda self, slot, stamp, now: None):
        yield
