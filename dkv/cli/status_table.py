"""What ``dkv status`` prints: two rows for each node, and a line for each thing that is wrong."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dkv.cli.clock_lines import clock_lines, clocks_off
from dkv.cli.output import one_line
from dkv.cli.table import Cell, Table, cell
from dkv.client.survey import Answer

NO_BALLOT = "0.0"
"""Stands for the promise of a node that has promised nothing yet."""

SPARE = ("PROMISED", "BALLOT", "APPLIED")
SPARE_STORED = ("LOG SLOTS", "KEYS")
"""The columns that are left out first on a narrow terminal, such as one of 80 columns."""

ROLE_COLOURS = {"leader": "green", "candidate": "yellow"}
UNITS = ("KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Found:
    """An answer to DKV.STATUS at ``at`` (monotonic seconds), and its fields; without them, what the problem is."""

    answer: Answer
    fields: dict[str, Any]
    problem: str
    at: float = field(default_factory=time.monotonic)


def lags(found: Sequence[Found]) -> list[int | None]:
    """For each status, how many slots it is behind the furthest; None if there is no such number."""
    marks = [each.fields.get("chosen_through") for each in found]
    furthest = max((mark for mark in marks if isinstance(mark, int)), default=0)
    applied = [each.fields.get("applied_through") for each in found]
    return [furthest - each if isinstance(each, int) else None for each in applied]


def status_lines(found: Sequence[Found], rates: Sequence[int | None] | None = None, clocks: bool = False) -> list[str]:
    """The tables, then a line for each snapshot under way and for each thing that is wrong.

    ``rates`` says for each status how many writes a second were applied. ``clocks``: with a table of the clocks.
    """
    lines: list[str] = []
    table = Table(
        "NODE", "ENDPOINT", "ROLE", "BALLOT", "PROMISED", "CHOSEN", "APPLIED", "LAG", "LEADER", "READY",
        spare=SPARE, say=lines.append,
    )  # fmt: skip
    table.add([_agreement(each, lag) for each, lag in zip(found, lags(found), strict=True)])
    told = [number for number, each in enumerate(found) if not each.problem]
    if told:
        lines.append("")
        head = ["NODE", "LOG SLOTS", "LOG", "STATE", "KEYS", "FREE", "COMMIT P99"]
        rows = [_stored(found[number].fields) for number in told]
        if rates is not None:
            head.append("WRITES/S")
            rows = [[*row, cell(rates[number])] for row, number in zip(rows, told, strict=True)]
        Table(*head, spare=SPARE_STORED, say=lines.append).add(rows)
    statuses = [each.fields for each in found]
    lines += [*(clock_lines(statuses) if clocks and told else ()), *_shortage(statuses), *clocks_off(statuses)]
    lines += _dialled_over_tls(statuses)
    for each in found:
        lines += map(one_line, (*_snapshots(each.fields), *_troubles(each)))
    return lines


def _agreement(each: Found, lag: int | None) -> list[Cell]:
    """A row of the first table: what the node has agreed on with others."""
    endpoint, fields = each.answer.endpoint, each.fields
    if each.problem:
        word = "no status" if each.answer.reached else "unreachable"
        return [cell(None), cell(endpoint), Cell(word, "red"), *[cell(None)] * 7]
    role, ready = fields.get("role"), fields.get("ready")
    return [
        cell(fields.get("node")),
        cell(endpoint),
        cell(role, ROLE_COLOURS.get(str(role))),
        cell(fields.get("leader_ballot")),
        cell(fields.get("ballot") if fields.get("ballot") != NO_BALLOT else None),
        cell(fields.get("chosen_through")),
        cell(fields.get("applied_through")),
        cell(lag, "yellow" if lag else None),
        cell(fields.get("leader") or None),
        cell(ready, "green" if ready else "red"),
    ]


def _stored(fields: dict[str, Any]) -> list[Cell]:
    """A row of the second table: what the node stores, and how its disk does."""
    return [
        cell(fields.get("node")),
        cell(fields.get("log_slots")),
        right(size(fields.get("log_bytes"))),
        right(size(fields.get("state_bytes"))),
        cell(fields.get("state_keys")),
        right(size(fields.get("free_bytes"))),
        right(milliseconds(fields.get("commit_p99_ms"))),
    ]


def _shortage(found: Sequence[dict[str, Any]]) -> list[str]:
    """One line for the disks that are short of space, of which every node tells."""
    told = [fields.get("writes_refused_for_space") for fields in found]
    disks = sorted({disk for disks in told if isinstance(disks, list) for disk in disks if isinstance(disk, int)})
    if not disks:
        return []
    nodes = " and ".join(f"node {disk}" for disk in disks)
    return [f"writes that grow data are refused everywhere, for want of space on the disk of {nodes}"]


def _dialled_over_tls(found: Sequence[dict[str, Any]]) -> list[str]:
    """Which nodes have dialled their peers over TLS, and which have not yet. Nothing where no connection has TLS."""
    over_tls, plainly = [], []
    for fields in found:
        peers = fields.get("peers")
        dialled = [peer for peer in peers if isinstance(peer, dict)] if isinstance(peers, list) else []
        plain = [peer.get("node") for peer in dialled if peer.get("tls") is False]
        if plain:
            plainly.append(f"node {fields.get('node')} has dialled {_named(plain)} without TLS")
        elif any(peer.get("tls") is True for peer in dialled):
            over_tls.append(fields.get("node"))
    if not over_tls:
        return []
    whose = "have dialled their" if len(over_tls) > 1 else "has dialled its"
    return [f"{_named(over_tls)} {whose} peers over TLS", *plainly]


def _named(nodes: Sequence[object]) -> str:
    return f"node{'s' if len(nodes) > 1 else ''} {', '.join(map(str, nodes))}"


def _snapshots(fields: dict[str, Any]) -> list[str]:
    """The snapshots that a node receives and sends."""
    name, snapshot = f"node {fields.get('node')}", fields.get("snapshot")
    if not isinstance(snapshot, dict):
        return []
    lines = []
    if snapshot.get("receiving_from"):
        so_far = size(snapshot.get("received_bytes")) or "some"
        lines.append(f"{name} receives a snapshot from node {snapshot['receiving_from']}: {so_far} so far")
    sending_to = snapshot.get("sending_to")
    if sending_to and isinstance(sending_to, list):
        lines.append(f"{name} sends a snapshot to node {' and node '.join(map(str, sending_to))}")
    return lines


def rate(before: Found, now: Found) -> int | None:
    """Write commands applied in a second between two looks at a node; None if it was restarted, or not there."""
    first, last = before.fields.get("applied_ops"), now.fields.get("applied_ops")
    same_life = before.fields.get("boot") == now.fields.get("boot")
    if not (same_life and isinstance(first, int) and isinstance(last, int)):
        return None
    return round((last - first) / max(now.at - before.at, 0.001))


def _troubles(each: Found) -> list[str]:
    """Why a node is not ready, or gave no status, and which peers it does not reach."""
    fields = each.fields
    name = f"node {fields.get('node')}"
    lines = _membership(name, fields)
    differs_from = fields.get("differs_from")
    if differs_from and isinstance(differs_from, list):
        lines.append(f"{name} applied another log than nodes {', '.join(map(str, differs_from))}: see its log")
    check = fields.get("state_check")
    differing = check.get("differs_from") if isinstance(check, dict) else None
    if differing and isinstance(differing, list):
        lines.append(f"{name} has another state than nodes {', '.join(map(str, differing))}: see dkv compare")
    if each.problem:
        endpoint = str(each.answer.endpoint)
        lines.append(each.problem if endpoint in each.problem else f"{endpoint}: {each.problem}")
    failing, peers = fields.get("failing"), fields.get("peers")
    lines += [f"{name} is not ready: {why}" for why in failing.values()] if isinstance(failing, dict) else []
    lines += _warnings(name, fields.get("warnings"))
    for peer in peers if isinstance(peers, list) else []:
        problem = peer.get("problem") if isinstance(peer, dict) else None
        if problem:
            seconds = peer.get("problem_seconds")
            lines.append(f"{name} has not reached node {peer.get('node')} for {seconds} s: {problem}")
    return lines


def _warnings(name: str, warnings: Any) -> list[str]:
    """What a node warns of, in one line: where it is much, another command says it in full."""
    told = [each for each in warnings if isinstance(each, dict)] if isinstance(warnings, list) else []
    if len(told) < 2:
        return [f"{name} warns: {each.get('text')}" for each in told]
    names = ", ".join(dict.fromkeys(str(each.get("name")) for each in told))
    return [f"{name} warns of {names}: dkv doctor says what to mend"]


def _membership(name: str, fields: dict[str, Any]) -> list[str]:
    """What a node is, if it is no voter, and how its config file differs from the members."""
    words = {
        "standby": "is a standby: it serves, and does not vote",
        "removed": "was removed from the cluster: switch it off when the command that removed it says so",
        "unknown": "is no member of the cluster yet: it waits until it is added",
    }
    member, differs = str(fields.get("member")), fields.get("config_differs")
    lines = [f"{name} {words[member]}"] if member in words else []
    return [*lines, f"{name}: {differs}"] if isinstance(differs, str) else lines


# --- numbers for people ---


def right(text: str | None) -> Cell:
    """A cell with a number and its unit, aligned to the right as numbers are."""
    return Cell(text or "-", number=True)


def milliseconds(number: object) -> str | None:
    """A time as a person reads it; None for what is no number."""
    return f"{number:.1f} ms" if isinstance(number, int | float) else None


def size(count: object) -> str | None:
    """Bytes as a person reads them, in powers of 1,024; None for what is no number."""
    if not isinstance(count, int):
        return None
    if count < 1024:
        return f"{count} B"
    number = float(count)
    for unit in UNITS:
        number /= 1024
        if round(number) < 1024 or unit == UNITS[-1]:
            break
    return f"{number:.1f} {unit}" if number < 100 else f"{number:.0f} {unit}"
