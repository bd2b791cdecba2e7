"""Bugs of dkv's own kind, planted as in ``tests.sim.planted``: each shows a fault at work that the simulator has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from dkv.ballot import ZERO
from dkv.events import CaughtUp, Progress
from dkv.gateway.gateway import Gateway
from dkv.host.host import Host
from dkv.messages import Barrier
from dkv.paxos.acceptor import Acceptor
from dkv.paxos.elector import Elector
from dkv.paxos.proposer import Proposer, Step

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
        self._timer.wait_at_random(turn)
        if self._electorate.may_campaign:
            number = self._grants.open()
            for node in self._members.all:
                self._grants.add(node, number)
            self._campaign_if_granted(turn)

    with patch.object(Elector, "_poll", poll):
        yield


@_plant
def barrier_of_an_earlier_boot() -> Iterator[None]:
    """A gateway serves reads at a barrier that a life before it had asked for."""
    on_barrier = Gateway._on_barrier

    def take_any(self: Gateway, turn: Any, message: Barrier) -> None:
        on_barrier(self, turn, replace(message, boot=self._identity.boot))

    with patch.object(Gateway, "_on_barrier", take_any):
        yield


@_plant
def first_batch_of_a_lower_boot() -> Iterator[None]:
    """The first batch of any other boot is next, that of an earlier one too."""

    def follows(mark: tuple[int, int], boot: int, seq: int) -> bool:
        return seq == mark[1] + 1 if boot == mark[0] else seq == 1

    with patch("dkv.paxos.batch_queue.follows", follows), patch("dkv.kv.machine.follows", follows):
        yield


@_plant
def turns_left_over() -> Iterator[None]:
    """What a drain has no turns left for is forgotten until something else wakes the host."""
    drain = Host._drain

    def drain_once(self: Host) -> None:
        with patch.object(self, "wake", lambda: None):
            drain(self)

    with patch.object(Host, "_drain", drain_once):
        yield


@_plant
def written_back_at_once() -> Iterator[None]:
    """The host begins to write the state back while the commit of the log that holds its slots is still under way."""
    commit = Host._commit

    def commit_both(self: Host) -> None:
        commit(self)
        if not self.failed:
            self._write_state()

    with patch.object(Host, "_commit", commit_both):
        yield


@_plant
def never_reads_again() -> Iterator[None]:
    """A node that has paused its peers and clients never goes on reading."""
    balance = Host._balance_reading

    def balance_once(self: Host) -> None:
        if not self._reading_paused:
            balance(self)

    with patch.object(Host, "_balance_reading", balance_once):
        yield


@_plant
def caught_up_is_promised() -> Iterator[None]:
    """The end of a catch-up that was begun for an earlier ballot makes a candidate lead in its next one."""
    on_caught_up = Proposer._on_caught_up

    def lead(self: Proposer, turn: Any, message: CaughtUp) -> None:
        if self._step is Step.PREPARING:
            self._lead(turn, max(self._held_through, message.chosen_through))
        else:
            on_caught_up(self, turn, message)

    with patch.object(Proposer, "_on_caught_up", lead):
        yield


@_plant
def b12_votes_before_it_has_met_everybody() -> Iterator[None]:
    """An acceptor votes from its first start on, though some could take a new directory for it (B12)."""
    with patch.object(Acceptor, "_voting", property(lambda self: True)):
        yield


@_plant
def waits_for_a_leader_it_knew() -> Iterator[None]:
    """A node whose log has chosen slots waits after a restart for a leader: all at once, they wait for ever."""
    poll = Elector._poll

    def poll_if_new(self: Elector, turn: Any) -> None:
        if (self._electorate.progress or Progress(0, 0)).chosen_through and self._highest_led == ZERO:
            self._timer.wait_at_random(turn)
        else:
            poll(self, turn)

    with patch.object(Elector, "_poll", poll_if_new):
        yield
