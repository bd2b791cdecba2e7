"""The bugs that duplicate suppression had elsewhere (B15), planted as in ``tests.sim.planted``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from dkv.kv.machine import Machine
from dkv.kv.sessions import NEW, Place, Sessions
from tests.sim.planted import plant


@plant("B15")
def duplicate_by_the_highest_op() -> Iterator[None]:
    """Every op up to the highest one executed counts as executed, and gets that one's answer."""
    find = Sessions.find

    def find_highest(self: Sessions, turn: Any, name: bytes, op: int, place: Place, check: bytes) -> Any:
        producer = self._producers.get(name)
        return find(self, turn, name, op if producer is None else max(op, producer.highest), place, check)

    with patch.object(Sessions, "find", find_highest):
        yield


@plant("B15b")
def table_not_loaded() -> Iterator[None]:
    """The table is on disk, and nobody reads it at a start."""
    with patch.object(Sessions, "start", lambda self, turn: None):
        yield


@plant("B15c")
def answered_at_the_gateway() -> Iterator[None]:
    """What was executed is remembered only on the node where it arrived."""
    apply = Machine.apply

    def apply_own(self: Machine, turn: Any, batch: Any, own: bool) -> Any:
        find = self._sessions.find
        if not own:
            self._sessions.find = lambda *arguments: NEW  # type: ignore[method-assign]  # that is the bug
        results = apply(self, turn, batch, own)
        self._sessions.find = find  # type: ignore[method-assign]
        return results

    with patch.object(Machine, "apply", apply_own):
        yield
