"""Bugs of handing the lead over, planted as in ``tests.sim.planted``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from dkv.actor import ACCEPTOR, Address
from dkv.messages import Promise, TakeOver
from dkv.paxos.elector import Elector
from dkv.paxos.proposer import Proposer

Plant = Callable[[], Any]
TAKE_OVERS: dict[str, Plant] = {}
"""Every planted bug by its name."""


def _plant(function: Callable[[], Iterator[None]]) -> Plant:
    TAKE_OVERS[function.__name__] = contextmanager(function)
    return TAKE_OVERS[function.__name__]


@_plant
def takes_over_from_anybody() -> Iterator[None]:
    """A node takes over whenever it is asked to, also from a ballot that was overtaken long ago."""
    on_take_over = Elector._on_take_over

    def take_over(self: Elector, turn: Any, sender: Address, message: TakeOver) -> None:
        with patch.object(self, "_highest_led", message.ballot):
            on_take_over(self, turn, sender, message)

    with patch.object(Elector, "_on_take_over", take_over):
        yield


@_plant
def takes_over_without_phase_1() -> Iterator[None]:
    """A node that was asked to take over counts its own Promise as everybody's: the leader of all wants it to lead."""
    asked: set[int] = set()
    """The nodes that were, and have not begun to campaign."""
    heirs: set[Proposer] = set()
    on_take_over, on_campaign, on_promise = Elector._on_take_over, Proposer._on_campaign, Proposer._on_promise

    def take_over(self: Elector, turn: Any, sender: Address, message: TakeOver) -> None:
        asked.add(self._node)
        on_take_over(self, turn, sender, message)

    def campaign(self: Proposer, turn: Any) -> None:
        (heirs.add if self._node in asked else heirs.discard)(self)
        asked.discard(self._node)
        on_campaign(self, turn)

    def promise(self: Proposer, turn: Any, sender: Address, message: Promise) -> None:
        on_promise(self, turn, sender, message)
        if self in heirs and sender.node == self._node:
            for node in self._members.others:
                on_promise(self, turn, Address(node, ACCEPTOR), message)

    with (
        patch.object(Elector, "_on_take_over", take_over),
        patch.object(Proposer, "_on_campaign", campaign),
        patch.object(Proposer, "_on_promise", promise),
    ):
        yield
