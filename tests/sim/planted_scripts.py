"""Bugs of scripts, planted as in ``planted`` and looked for in both modes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from dkv.kv.appliers.by_code import APPLIERS
from dkv.kv.codes import SCRIPT
from dkv.kv.keyspace import Keyspace
from dkv.kv.machine import Machine
from dkv.kv.scripts.script_calls import Calls
from dkv.kv.stored import unpack_string
from dkv.records import UncheckedEntry
from dkv.replies import Result
from tests.sim.planted import Plant, plant

SCRIPT_PLANTS: dict[str, Plant] = {}
"""Every planted bug by its name."""


@plant("locks_outlive_their_deadlines", SCRIPT_PLANTS)
def locks_outlive_their_deadlines() -> Iterator[None]:
    """A script compares what is stored with its token, and does not look whether that has expired."""

    def get(self: Calls, key: bytes) -> bytes | None:
        stored = self._turn.load(self._keyspace.prefix(self._ask.db) + key)
        return None if stored is None else unpack_string(stored).value

    with patch.object(Calls, "get", get):
        yield


@plant("scripts_on_one_node", SCRIPT_PLANTS)
def scripts_on_one_node() -> Iterator[None]:
    """A script that changes nothing where its client waits is taken for a read: no other node evaluates it."""
    applies = Machine._apply_entry

    def apply_some(self: Machine, turn: Any, entry: UncheckedEntry, own: bool) -> Result:
        if type(entry) is list and entry[0] == SCRIPT and not own:
            return None
        return applies(self, turn, entry, own)

    with patch.object(Machine, "_apply_entry", apply_some):
        yield


@plant("scripts_by_the_clock_of_the_node", SCRIPT_PLANTS)
def scripts_by_the_clock_of_the_node() -> Iterator[None]:
    """A script takes the clock of its node for the time: each node judges and sets deadlines by another one."""
    run = APPLIERS[SCRIPT]

    def by_the_clock(keyspace: Keyspace, turn: Any, ask: Any) -> Result:
        time = keyspace.time
        keyspace.time = time + int(turn.now * 1000) % 1000
        try:
            return run(keyspace, turn, ask)
        finally:
            keyspace.time = time

    with patch.dict(APPLIERS, {SCRIPT: by_the_clock}):
        yield


@plant("windows_are_never_shifted", SCRIPT_PLANTS)
def windows_are_never_shifted() -> Iterator[None]:
    """A sliding window that is over goes on: its count is never the one before."""
    with patch("dkv.kv.scripts.windows._shift", lambda *_: False):
        yield
