"""Bugs of snapshots between nodes, planted as in ``planted``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from dkv import noted
from dkv.actor import LEARNER, Address
from dkv.ballot import ZERO
from dkv.client_events import Passed
from dkv.events import Compacted, Install, StateWritten
from dkv.gateway.gateway import Gateway
from dkv.keys import BATCH_MARK, PROMISE, TOKEN
from dkv.kv.sessions import Sessions
from dkv.paxos.acceptor import Acceptor
from dkv.paxos.snapshots.chunks import MARKS
from dkv.paxos.snapshots.donor import SnapshotDonor
from dkv.paxos.snapshots.receiver import SnapshotReceiver
from dkv.replies import OK
from dkv.sim.simulated_generations import SimulatedGenerations
from dkv.state_messages import SnapshotRequest
from tests.sim.planted import Plant
from tests.sim.planted import plant as plant_in

SNAPSHOTS: dict[str, Plant] = {}

CUT_OFF = ("contest", "laggard", "one-sided", "partition", "rotation")
"""The faults that leave a node behind and alive: what its memory knows of the old state meets the new one."""


def plant(number: str) -> Callable[[Callable[[], Iterator[None]]], Plant]:
    """Register a bug of snapshots."""
    return plant_in(number, SNAPSHOTS)


class _Without:
    """A view of a state that leaves out keys with this first byte."""

    def __init__(self, view: Any, prefix: bytes) -> None:
        self._view = view
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def read(self, after: bytes, bytes_max: int) -> Any:
        while pairs := self._view.read(after, bytes_max):
            kept = [pair for pair in pairs if pair[0][:1] != self._prefix]
            if kept:
                return kept
            after = pairs[-1][0]
        return []


def leaves_out(prefix: bytes) -> Any:
    """While entered, snapshots have no key with this first byte."""
    begin = SnapshotDonor._begin

    def begin_without(self: SnapshotDonor, turn: Any, receiver: int, transfer: Any) -> Any:
        outgoing = begin(self, turn, receiver, transfer)
        outgoing.view = _Without(outgoing.view, prefix)
        return outgoing

    return patch.object(SnapshotDonor, "_begin", begin_without)


@plant("B22")
def without_sessions() -> Iterator[None]:
    """A snapshot has the values, and not the answers of producers."""
    with leaves_out(TOKEN):
        yield


@plant("B22b")
def without_marks() -> Iterator[None]:
    """A snapshot has no marks of the last batch of each origin."""
    with leaves_out(BATCH_MARK):
        yield


@plant("B22c")
def two_moments() -> Iterator[None]:
    """What a snapshot says of itself is read at one moment, and the state at another."""
    on_request = SnapshotDonor._on_request

    def look_again(self: SnapshotDonor, turn: Any, sender: Address, message: SnapshotRequest) -> None:
        outgoing = self._transfers.get(message.transfer)
        if outgoing is not None and outgoing.open:
            outgoing.view = turn.states.view()
        on_request(self, turn, sender, message)

    with patch.object(SnapshotDonor, "_on_request", look_again):
        yield


@plant("B22d")
def generation_used_again() -> Iterator[None]:
    """After a crash in the middle of a snapshot the next one is written over what is left of it."""
    begin = SimulatedGenerations.begin

    def open_only(self: SimulatedGenerations, generation: int) -> None:
        self.in_force, self._before, self._newest = generation, [], generation

    def begin_over(self: SimulatedGenerations) -> int:
        left = self.stores.get(self._newest + 1)
        number = begin(self)
        if left is not None:
            self.stores[number] = left
        return number

    with patch.multiple(SimulatedGenerations, open=open_only, begin=begin_over):
        yield


@plant("B22e")
def before_the_last_chunk() -> Iterator[None]:
    """A snapshot is put in force as soon as it is known what it is, and the rest is to follow."""
    on_written = SnapshotReceiver._on_state_written

    def install_early(self: SnapshotReceiver, turn: Any, message: StateWritten) -> None:
        incoming = self._incoming
        if incoming.check._marks == MARKS and incoming.generation == message.generation:
            turn.send(Address(self._identity.node, LEARNER), Install(incoming.generation, incoming.check.through))
        else:
            on_written(self, turn, message)

    with patch.object(SnapshotReceiver, "_on_state_written", install_early):
        yield


@plant("B22f")
def promise_lost() -> Iterator[None]:
    """With the snapshot the node begins anew: what it had promised is gone."""
    on_compacted = Acceptor._on_compacted

    def forget(self: Acceptor, turn: Any, message: Compacted) -> None:
        if message.through > self._log.chosen_through:
            self._promised = ZERO
            turn.persist_erase(PROMISE)
        on_compacted(self, turn, message)

    with patch.object(Acceptor, "_on_compacted", forget):
        yield


@plant("B22g")
def ops_of_the_old_state() -> Iterator[None]:
    """The op ids of producers that are in memory are still those of the state before the snapshot."""
    start = Sessions.start

    def keep(self: Sessions, turn: Any) -> None:
        ops = dict(self._ops)
        start(self, turn)
        self._ops.update(ops)

    with patch.object(Sessions, "start", keep):
        yield


@plant("B22h")
def passed_answered_ok() -> Iterator[None]:
    """A batch that a snapshot passed took effect, so its clients are told OK."""

    def answer_ok(self: Gateway, turn: Any, message: Passed) -> None:
        for passed in self._batches.passed(message.seq):
            turn.note(noted.batch_passed, commands=passed.entries)
            for run in passed.runs:
                self._lanes.answer(run, [OK] * run.entries)
            self._go_on_behind(turn, passed.barrier)

    with patch.object(Gateway, "_on_passed", answer_ok):
        yield
