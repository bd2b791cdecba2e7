"""Bugs of a shortage of disk space, planted as in ``planted`` and looked for in both modes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from unittest.mock import patch

from dkv.events import DiskMeasured
from dkv.kv.codes import DELETE
from dkv.kv.growth import GROWS, without_growth
from dkv.paxos.space import Space
from dkv.records import Entry, ShortDisk
from tests.sim.planted import Plant, plant

SPACE_PLANTS: dict[str, Plant] = {}
"""Every planted bug by its number: a letter tells bugs of one kind apart."""


@plant("B50", SPACE_PLANTS)
def judged_by_each_node() -> Iterator[None]:
    """Each node refuses by the measure of its own disk, whatever the leader decides."""
    obey, measured = Space.obey, Space.measured

    def judge(self: Space, turn: Any, message: DiskMeasured, others: Iterable[int]) -> None:
        measured(self, turn, message, others)
        disk = ShortDisk(self._node, message.free_bytes, message.wanted_bytes)
        obey(self, turn, (disk,) if message.short else ())

    with patch.object(Space, "measured", judge), patch.object(Space, "obey", lambda self, turn, short: None):
        yield


@plant("B50b", SPACE_PLANTS)
def repeats_refused() -> Iterator[None]:
    """A repeat of a write that was executed is refused, as if it would grow the data once more."""

    def without_any(entry: Entry) -> Entry | None:
        kept = without_growth(entry)
        return kept if kept is entry else None

    with patch("dkv.gateway.runs.without_growth", without_any):
        yield


@plant("B50c", SPACE_PLANTS)
def deletes_refused() -> Iterator[None]:
    """A DELETE is refused like every other write, so that nobody can make room."""
    with patch("dkv.kv.growth.GROWS", GROWS | {DELETE}):
        yield
