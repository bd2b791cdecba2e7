"""Nodes that say they are ready by the wrong signs (B41), planted as in ``planted`` and ``planted_classic``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from dkv import noted
from dkv.messages import ChosenThrough, Heartbeat
from dkv.paxos.echoes import Echoes
from dkv.paxos.elector import Elector
from tests.sim.planted import plant
from tests.sim.planted_classic import CLASSIC_PLANTS


@plant("B41")
def ready_by_having_heard() -> Iterator[None]:
    """A node counts as ready while it hears its leader, as dkv's own did."""

    def prove(self: Elector, turn: Any, answered: int, through: int) -> None:
        turn.note(noted.may_serve, at=turn.now, through=through)

    with patch.object(Elector, "_prove", prove):
        yield


@plant("B41b")
def answers_of_anybody() -> Iterator[None]:
    """A follower takes the leader's quorum for proof that its own answers arrive."""
    on_heartbeat = Elector._on_heartbeat

    def take_for_own(self: Elector, turn: Any, sender: Any, message: Heartbeat) -> None:
        on_heartbeat(self, turn, sender, replace(message, acked=message.confirmed))

    with patch.object(Elector, "_on_heartbeat", take_for_own):
        yield


@contextmanager
def ready_by_having_heard_others() -> Iterator[None]:
    """In classic mode a node counts as ready while it hears a majority, whether that hears it or not."""
    heard = Echoes.heard

    def count(self: Echoes, node: int, message: ChosenThrough) -> None:
        heard(self, node, replace(message, echo=self._number))

    with patch.object(Echoes, "heard", count):
        yield


CLASSIC_PLANTS["B41"] = ready_by_having_heard_others
