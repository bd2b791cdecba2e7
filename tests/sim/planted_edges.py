"""Bugs of dkv's own kind, planted as in ``tests.sim.planted``: each shows a fault at work that the simulator has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from dkv.paxos.elector import Elector

Plant = Callable[[], Any]
EDGES: dict[str, Plant] = {}
"""Every planted bug by its name."""


def _plant(function: Callable[[], Iterator[None]]) -> Plant:
    EDGES[function.__name__] = contextmanager(function)
    return EDGES[function.__name__]


@_plant
def b19_no_poll() -> Iterator[None]:
    """Whoever hears no leader runs phase 1 without asking whether others hear one (B19)."""

    def poll(self: Elector, turn: Any) -> None:
        self._wait_at_random(turn)
        if self._chosen_through is not None:
            self._granted = set(self._members)
            self._campaign_if_granted(turn)

    with patch.object(Elector, "_poll", poll):
        yield
