"""Bugs of the replicated time, planted as in ``planted`` and looked for in both modes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from unittest.mock import patch

from dkv.configurations import Configuration
from dkv.kv.keyspace import Keyspace
from dkv.kv.machine import Machine
from dkv.paxos.found_values import FoundValues
from dkv.paxos.lead_time import reached
from dkv.records import Value
from tests.sim.planted import Plant, plant

TIME_PLANTS: dict[str, Plant] = {}
"""Every planted bug by its name."""


@plant("recovered_slot_is_stamped_anew", TIME_PLANTS)
def recovered_slot_is_stamped_anew() -> Iterator[None]:
    """A new leader gives what it recovers a stamp of its own, though it may be chosen with the first one."""
    take = FoundValues.take

    def stamp(self: FoundValues, slot: int) -> Value:
        value = take(self, slot)
        return Value(value.batches, value.time + 1) if value.batches else value

    with patch.object(FoundValues, "take", stamp):
        yield


@plant("falling_stamp_is_obeyed", TIME_PLANTS)
def falling_stamp_is_obeyed() -> Iterator[None]:
    """The time after a slot is its stamp, also if the slot before had a later one."""
    begin_slot = Keyspace.begin_slot

    def begin(self: Keyspace, turn: Any, slot: int, stamp: int) -> Any:
        self.time = min(self.time, stamp - 1) if stamp else self.time
        return begin_slot(self, turn, slot, stamp)

    with patch.object(Keyspace, "begin_slot", begin):
        yield


@plant("one_clock_moves_time", TIME_PLANTS)
def one_clock_moves_time() -> Iterator[None]:
    """It is as late as the latest clock says, once a quorum has answered."""

    def latest(clocks: Mapping[int, float], configuration: Configuration) -> float | None:
        return None if reached(clocks, configuration) is None else max(clocks.values())

    with patch("dkv.paxos.lead_time.reached", latest), patch("dkv.paxos.classic.proposer.reached", latest):
        yield


@plant("stamp_is_read_at_apply", TIME_PLANTS)
def stamp_is_read_at_apply() -> Iterator[None]:
    """Each node applies a slot at the time that its own clock shows then."""
    begin_slot = Machine.begin_slot

    def begin(self: Machine, turn: Any, slot: int, stamp: int) -> None:
        begin_slot(self, turn, slot, turn.wall_ms if stamp else 0)

    with patch.object(Machine, "begin_slot", begin):
        yield
