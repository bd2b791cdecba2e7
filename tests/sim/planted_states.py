"""Bugs in how nodes compare their states, planted one at a time. See ``planted`` for how they are used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from dkv.actor import StateView
from dkv.events import Captured
from dkv.host.layers import StateLayers
from dkv.host.states import TurnStates
from dkv.keys import APPLIED_THROUGH, unpack_number
from dkv.paxos.state_checker import StateChecker
from tests.sim.planted import Plant, plant

STATES: dict[str, Plant] = {}
"""Each of them by its name."""


@plant("forgets_erased_keys", STATES)
def forgets_erased_keys() -> Iterator[None]:
    """What is closed for a view has the keys that were written, and not those that were erased."""
    close_for = StateLayers.close_for

    def close_without(self: StateLayers, role: str) -> bool:
        had = close_for(self, role)
        if self.closed is not None:
            for key in [key for key, value in self.closed.writes.items() if value is None]:
                del self.closed.writes[key]
        return had

    with patch.object(StateLayers, "close_for", close_without):
        yield


@plant("a_view_for_each_piece", STATES)
def a_view_for_each_piece() -> Iterator[None]:
    """Each piece of the state is read as it is then: what was erased or written since is in one piece and not in all.

    The sum is said to be that of the first view.
    """
    read = StateChecker._read

    def read_anew(self: StateChecker, turn: Any) -> None:
        assert self._view is not None
        slot = self._view.applied_through
        self._view.close()
        self._view = _Labelled(turn.states.view(), slot)
        read(self, turn)

    with patch.object(StateChecker, "_read", read_anew):
        yield


@plant("a_view_before_its_slot", STATES)
def a_view_before_its_slot() -> Iterator[None]:
    """The view is opened at once, though what was applied since the last write-back is not on disk."""

    def capture_at_once(self: TurnStates, role: str) -> bool:
        applied_through = unpack_number(self._layers.load(APPLIED_THROUGH))
        self._deliver(role, Captured(_Labelled(self.view(), applied_through)))
        return True

    with patch.object(TurnStates, "capture", capture_at_once):
        yield


class _Labelled:
    """A view that is said to be of ``applied_through``, whatever it is of."""

    def __init__(self, view: StateView, applied_through: int) -> None:
        self.applied_through = applied_through
        self.get = view.get
        self.read = view.read
        self.close = view.close
