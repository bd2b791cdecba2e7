"""What ``dkv status`` says of time: how far each machine's clock is from the time that the cluster agrees on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dkv.cli.table import Cell, Table, cell
from dkv.paxos.clock_watch import OFF_SECONDS

UNKNOWN = "the replicated time is not known: no leader answered, and in classic mode nobody compares the clocks"

_LATEST_MS = 253_402_300_799_000  # the last second that a date can have, of the year 9999


def clock_lines(statuses: Sequence[dict[str, Any]]) -> list[str]:
    """A row for each clock, and the replicated time, as the leader told."""
    leader = _leader_of(statuses)
    if leader is None:
        return ["", UNKNOWN]
    lines = [""]
    rows = [[cell(int(node)), _offset(offset)] for node, offset in _offsets(leader)]
    Table("NODE", "CLOCK", say=lines.append).add(rows)
    return [*lines, f"the replicated time is {_date(leader['replicated_time_ms'])}, as node {leader.get('node')} told"]


def clocks_off(statuses: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each clock that somebody should look at."""
    leader = _leader_of(statuses)
    return [
        f"the clock of node {node} is {abs(offset) / 1000:,.1f} s {_side(offset)} the replicated time"
        for node, offset in ([] if leader is None else _offsets(leader))
        if abs(offset) > 1000 * OFF_SECONDS
    ]


def _leader_of(statuses: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The status that has the replicated time; the latest, if one that leads no more does not know that yet."""
    known = [each for each in statuses if type(each.get("replicated_time_ms")) is int]
    return max(known, key=lambda each: int(each["replicated_time_ms"]), default=None)


def _offsets(leader: dict[str, Any]) -> list[tuple[str, int]]:
    """Node and milliseconds, as far as the status has what it should."""
    offsets = leader.get("clock_offset_ms")
    pairs = offsets.items() if isinstance(offsets, dict) else ()
    return [(node, offset) for node, offset in pairs if node.isdecimal() and type(offset) is int]


def _side(offset: int) -> str:
    return "ahead of" if offset > 0 else "behind"


def _offset(milliseconds: int) -> Cell:
    colour = "red" if abs(milliseconds) > 1000 * OFF_SECONDS else None
    return Cell(f"{milliseconds / 1000:+,.3f} s", colour, number=True)


def _date(milliseconds: int) -> str:
    if not 0 <= milliseconds <= _LATEST_MS:
        return f"{milliseconds} ms since 1970"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(" ", "milliseconds").replace("+00:00", " UTC")
