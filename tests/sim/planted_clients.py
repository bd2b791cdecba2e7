"""Bugs in what one connection, or one producer, is promised, planted as in ``tests.sim.planted``."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from dkv.gateway.lanes import Lane, Lanes
from dkv.gateway.runs import Run
from dkv.keys import BATCH_MARK
from dkv.kv import sessions
from dkv.kv.codes import DELETE
from dkv.kv.machine import Machine
from dkv.kv.sessions import Sessions
from tests.sim.planted import plant


@contextmanager
def _replies_in_order() -> Iterator[None]:
    """A gateway keeps a reply back until all before it on its connection are there: only effects are out of order."""
    admit, reply = Lanes.admit, Lanes.reply

    def of(self: Lanes, run: Run) -> deque[list[Any]]:
        held: dict[int, deque[list[Any]]] = self.__dict__.setdefault("_held", {})
        return held.setdefault(run.connection, deque())

    def note(self: Lanes, lane: Lane, run: Run) -> bool:
        if run.entries and all(each[0] is not run for each in of(self, run)):
            of(self, run).append([run, None])
        return admit(self, lane, run)

    def reply_in_turn(self: Lanes, run: Run, results: list[Any]) -> None:
        held = of(self, run)
        mine: list[Any] = next((each for each in held if each[0] is run), [run, None])
        if mine not in held:
            held.append(mine)
        mine[1] = results
        while held and held[0][1] is not None:
            reply(self, *held.popleft())

    with patch.object(Lanes, "admit", note), patch.object(Lanes, "reply", reply_in_turn):
        yield


@plant("B15g")
def answered_as_another_write() -> Iterator[None]:
    """A token that was used with another write gets that one's answer."""
    find = Sessions.find

    def find_any(self: Sessions, turn: Any, name: bytes, op: int, place: Any, check: bytes = b"") -> Any:
        return find(self, turn, name, op, place)

    with patch.object(Sessions, "find", find_any):
        yield


@plant("B42")
def reads_overtake_writes() -> Iterator[None]:
    """A read goes by its barrier, whatever its connection has written before and waits for."""
    with _replies_in_order():
        admit = Lanes.admit

        def admit_reads_at_once(self: Lanes, lane: Lane, run: Run) -> bool:
            if run.writes or not run.entries:
                return admit(self, lane, run)
            written, lane.in_log = lane.in_log, 0
            went = admit(self, lane, run)
            lane.in_log = written
            return went

        with patch.object(Lanes, "admit", admit_reads_at_once):
            yield


@plant("B42b")
def writes_overtake_reads() -> Iterator[None]:
    """A write does not wait for the reads that its connection asked for before."""
    with _replies_in_order():
        admit = Lanes.admit

        def admit_writes_at_once(self: Lanes, lane: Lane, run: Run) -> bool:
            if not run.writes:
                return admit(self, lane, run)
            asked, lane.in_reads = lane.in_reads, 0
            went = admit(self, lane, run)
            lane.in_reads = asked
            return went

        with patch.object(Lanes, "admit", admit_writes_at_once):
            yield


class _Kept(OrderedDict[Any, Any]):
    """Nothing is taken out of it."""

    def pop(self, key: Any, default: Any = None) -> Any:
        return self.get(key, default)


@plant("B15d")
def ops_of_evicted_kept() -> Iterator[None]:
    """The op ids of a producer that was evicted are still there when it comes back."""
    init = Sessions.__init__

    def keep(self: Sessions, *arguments: Any) -> None:
        init(self, *arguments)
        self._ops = _Kept()

    with patch.object(Sessions, "__init__", keep):
        yield


@plant("B15e")
def order_within_a_slot_lost() -> Iterator[None]:
    """After a restart, which of two producers of one slot was used last is not known any more."""

    def start_by_slots(self: Sessions, turn: Any) -> None:
        found = [(key[len(sessions._PRODUCER) :], data) for key, data in turn.scan(sessions._PRODUCER)]
        found.sort(key=lambda each: sessions._STORED.unpack(each[1])[0])
        for name, data in found:
            self._producers[name] = sessions._Producer(*sessions._STORED.unpack(data)[2:])

    with patch.object(Sessions, "start", start_by_slots):
        yield


@plant("B15f")
def marks_of_own_batches_only() -> Iterator[None]:
    """How far a node has applied the batches of others is not on its disk."""
    apply = Machine.apply

    class Forgetting:
        def __init__(self, turn: Any) -> None:
            self._turn = turn

        def __getattr__(self, name: str) -> Any:
            return getattr(self._turn, name)

        def stage(self, key: bytes, value: bytes) -> None:
            if key[:1] != BATCH_MARK:
                self._turn.stage(key, value)

    def apply_and_forget(self: Machine, turn: Any, batch: Any, own: bool) -> Any:
        return apply(self, turn if own else Forgetting(turn), batch, own)

    with patch.object(Machine, "apply", apply_and_forget):
        yield


@plant("B43")
def deletes_not_counted() -> Iterator[None]:
    """A DELETE of several keys, without a token, tells whether any was there, and not how many."""
    apply_entry = Machine._apply_entry

    def count_one(self: Machine, turn: Any, entry: Any, own: bool) -> Any:
        result = apply_entry(self, turn, entry, own)
        return min(result, 1) if entry[0] == DELETE and isinstance(result, int) else result

    with patch.object(Machine, "_apply_entry", count_one):
        yield
