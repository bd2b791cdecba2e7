"""Bugs of keyspace notifications, planted as in ``planted`` and looked for in both modes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from dkv.kv.codes import PUT
from dkv.kv.erasure import Eraser
from dkv.kv.key_events import EXPIRED, SET, Event, EventCollector
from dkv.kv.machine import Machine
from dkv.paxos.learner import Learner
from tests.sim.planted import Plant, plant

EVENT_PLANTS: dict[str, Plant] = {}
"""Every planted bug by its name."""


@plant("repeats_are_told", EVENT_PLANTS)
def repeats_are_told() -> Iterator[None]:
    """A write with a token that comes again is not executed, and its event is told again."""
    once = Machine._once

    def tell(self: Machine, turn: Any, token: Any, check: bytes) -> Any:
        repeats, write = self._repeats, token[2]
        answer = once(self, turn, token, check)
        if self._repeats > repeats and write[0] == PUT:
            self._keyspace.events.add(SET, 0, write[1])
        return answer

    with patch.object(Machine, "_once", tell):
        yield


@plant("undone_events_stay", EVENT_PLANTS)
def undone_events_stay() -> Iterator[None]:
    """The events of a transaction that is undone are told nevertheless."""
    with patch.object(EventCollector, "undo_trial", lambda self: None):
        yield


@plant("expired_is_told_twice", EVENT_PLANTS)
def expired_is_told_twice() -> Iterator[None]:
    """The end of a key is told when it has come, and again when the key is erased."""
    add = EventCollector.add

    def twice(self: EventCollector, event: Event, db: int, key: bytes) -> None:
        add(self, event, db, key)
        if event is EXPIRED:
            add(self, event, db, key)

    with patch.object(EventCollector, "add", twice):
        yield


@plant("eraser_tells_nothing", EVENT_PLANTS)
def eraser_tells_nothing() -> Iterator[None]:
    """A key that expires is told when somebody touches it, and never if nobody does."""
    erase = Eraser.erase

    def silently(self: Eraser, turn: Any) -> None:
        with patch.object(self._keyspace.events, "wanted", frozenset()):
            erase(self, turn)

    with patch.object(Eraser, "erase", silently):
        yield


@plant("touched_keys_never_expire", EVENT_PLANTS)
def touched_keys_never_expire() -> Iterator[None]:
    """The eraser alone tells that a key has expired: one that is written before that is told as erased by nobody."""
    add, erase = EventCollector.add, Eraser.erase
    erasing: list[bool] = []

    def by_the_eraser(self: Eraser, turn: Any) -> None:
        erasing.append(True)
        erase(self, turn)
        erasing.pop()

    def add_some(self: EventCollector, event: Event, db: int, key: bytes) -> None:
        if event is not EXPIRED or erasing:
            add(self, event, db, key)

    with patch.object(Eraser, "erase", by_the_eraser), patch.object(EventCollector, "add", add_some):
        yield


@plant("events_where_the_client_waits", EVENT_PLANTS)
def events_where_the_client_waits() -> Iterator[None]:
    """The events of a batch are told on the node that it came from, as the results are."""
    apply, add = Machine.apply, EventCollector.add
    others: list[bool] = []

    def apply_own(self: Machine, turn: Any, batch: Any, own: bool) -> Any:
        if not own:
            others.append(True)
        results = apply(self, turn, batch, own)
        others.clear()
        return results

    def add_own(self: EventCollector, event: Event, db: int, key: bytes) -> None:
        if not others:
            add(self, event, db, key)

    with patch.object(Machine, "apply", apply_own), patch.object(EventCollector, "add", add_own):
        yield


@plant("events_of_earlier_lives", EVENT_PLANTS)
def events_of_earlier_lives() -> Iterator[None]:
    """A node that starts tells the events of the slots that it applies again."""
    apply = Learner._apply

    def tell_all(self: Learner, turn: Any, value: Any) -> None:
        with patch.object(self, "_replaying", False):
            apply(self, turn, value)

    with patch.object(Learner, "_apply", tell_all):
        yield


@plant("setting_is_not_loaded", EVENT_PLANTS)
def setting_is_not_loaded() -> Iterator[None]:
    """A node that starts, or gets a snapshot, tells nothing until the setting is made again."""
    start = EventCollector.start
    with patch.object(EventCollector, "start", lambda self, letters: start(self, b"")):
        yield
