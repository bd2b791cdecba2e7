"""``dkv status`` and ``dkv health``: the state of every node in its own words, and whether it serves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import click

from dkv.cli.asking import ALL
from dkv.cli.data import Access, looks
from dkv.cli.output import Status, answer, one_line, say
from dkv.cli.table import Cell, Table, cell
from dkv.client.survey import Answer, ask_all

STATUS_SECONDS = 2.0
"""A node answers this from memory: one that takes longer is as good as gone."""

HEALTH_SECONDS = 6.0
"""Longer than a node takes until it gives up a read and says so (``request_seconds``, 5 by default)."""

HEALTH_KEY = b"health"
"""The key for a read that only tests whether a node can read: it need not exist."""

NO_BALLOT = "0.0"
"""Stands for the promise of a node that has promised nothing yet."""

STATUS_REQUEST = (b"DKV.STATUS",)
ROLE_COLOURS = {"leader": "green", "candidate": "yellow"}


def status_fields(found: Answer) -> tuple[dict[str, Any], str]:
    """The fields of a DKV.STATUS; or None, and the reason."""
    if found.problem:
        return {}, found.problem
    try:
        fields = json.loads(found.reply if isinstance(found.reply, bytes) else b"")
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        return {}, f"{found.endpoint} does not answer as a node of dkv would"
    return fields, ""


# --- status ---


@dataclass(frozen=True, slots=True)
class Found:
    """An answer to DKV.STATUS, and its fields from ``status_fields``."""

    answer: Answer
    fields: dict[str, Any]
    problem: str


@click.command(
    short_help="Show every node's role, ballot and progress.",
    epilog="""\b
Exit status:
  0    all endpoints answered
  1    some did not; their rows say why
  2    usage: the command line is wrong
  3    nobody reachable: no endpoint answered
  74   the answer could not be written to stdout
  130  interrupted""",
)
@looks(ALL, STATUS_SECONDS)
def status(to: Access) -> int:
    """Show a table of all nodes, in the order of the endpoints.

    CHOSEN and APPLIED are the last slots that the node knows chosen, and has executed; LAG is by how many slots APPLIED
    is behind the highest CHOSEN of all. LEADER is the node it takes for the leader, BALLOT that leader's ballot, and
    PROMISED the highest one that it has promised itself: above BALLOT while another node runs for leader, below it if
    it was not asked. READY is whether it serves; below the table a line for each reason why a node does not, and for
    each peer that it does not reach.

    With --output json every endpoint is an object: "endpoint", "reachable", "lag", "error" (null if it answered), and
    the fields of DKV.STATUS.
    """
    answers = [own[0] for own in ask_all(to.endpoints, [STATUS_REQUEST], to.answer_seconds)]
    found = [Found(each, *status_fields(each)) for each in answers]
    lags = _lags([each.fields for each in found])
    if to.as_json:
        for each, lag in zip(found, lags, strict=True):
            own = {"endpoint": str(each.answer.endpoint), "reachable": each.answer.reached}
            answer(b"", own | {"error": each.problem or None, "lag": lag} | each.fields, True)
    else:
        _say_status(found, lags)
    return _status_of([each.reached for each in answers], [not each.problem for each in found])


def _status_of(reached: list[bool], good: list[bool]) -> int:
    if not any(reached):
        return Status.UNREACHABLE
    return Status.DONE if all(good) else Status.FAILED


def _lags(found: list[dict[str, Any]]) -> list[int | None]:
    """For each status, how many slots it is behind the furthest; None if there is no such number."""
    marks = [fields.get("chosen_through") for fields in found]
    furthest = max((mark for mark in marks if isinstance(mark, int)), default=0)
    applied = [fields.get("applied_through") for fields in found]
    return [furthest - each if isinstance(each, int) else None for each in applied]


def _say_status(found: list[Found], lags: list[int | None]) -> None:
    table = Table("NODE", "ENDPOINT", "ROLE", "BALLOT", "PROMISED", "CHOSEN", "APPLIED", "LAG", "LEADER", "READY")
    rows = []
    for each, lag in zip(found, lags, strict=True):
        endpoint, fields = each.answer.endpoint, each.fields
        if each.problem:
            word = "no status" if each.answer.reached else "unreachable"
            rows.append([cell(None), cell(endpoint), Cell(word, "red"), *[cell(None)] * 7])
            continue
        role, ready = fields.get("role"), fields.get("ready")
        rows.append(
            [
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
        )
    table.add(rows)
    for each in found:
        differs_from = each.fields.get("differs_from")
        if differs_from and isinstance(differs_from, list):
            others = ", ".join(map(str, differs_from))
            say(one_line(f"node {each.fields.get('node')} applied another log than nodes {others}: see its log"))
        if each.problem:
            name = str(each.answer.endpoint)
            say(one_line(each.problem if name in each.problem else f"{name}: {each.problem}"))
        for line in _troubles(each.fields):
            say(one_line(line))


def _troubles(fields: dict[str, Any]) -> list[str]:
    """Why the node is not ready, and the peers that it does not reach; empty if the node has said nothing of it."""
    name = f"node {fields.get('node')}"
    failing, peers = fields.get("failing"), fields.get("peers")
    lines = [f"{name} is not ready: {why}" for why in failing.values()] if isinstance(failing, dict) else []
    for peer in peers if isinstance(peers, list) else []:
        problem = peer.get("problem") if isinstance(peer, dict) else None
        if problem:
            seconds = peer.get("problem_seconds")
            lines.append(f"{name} has not reached node {peer.get('node')} for {seconds} s: {problem}")
    return lines


# --- health ---


@click.command(
    short_help="Find out whether every node serves.",
    epilog="""\b
Exit status:
  0    all endpoints are healthy
  1    some are not
  2    usage: the command line is wrong
  3    nobody reachable: no endpoint answered
  74   the answer could not be written to stdout
  130  interrupted""",
)
@looks(ALL, HEALTH_SECONDS)
def health(to: Access) -> int:
    """Ask every node for a linearizable read now, and for the conditions of its readiness.

    A node is healthy if it answers the read, which takes a majority, and all conditions hold. Those that do not are
    listed; docs/operations.md explains them.

    With --output json every endpoint is an object: "endpoint", "reachable", "healthy", "read_ms" (null if the read
    failed), "failing" (conditions), "error".
    """
    requests = [STATUS_REQUEST, (b"GET", HEALTH_KEY)]
    reached, healthy = [], []
    table = Table("ENDPOINT", "HEALTH", "READ", "WHY")
    rows = []
    for told, read in ask_all(to.endpoints, requests, to.answer_seconds):
        fields, problem = status_fields(told)
        conditions = fields.get("conditions")
        conditions = conditions if isinstance(conditions, dict) else {}
        failing = [str(name) for name, holds in conditions.items() if not holds]
        problem = problem or read.problem
        well = not problem and not failing
        reached.append(told.reached)
        healthy.append(well)
        read_ms = None if read.problem else round(read.seconds * 1000, 1)
        if to.as_json:
            own = {"endpoint": str(told.endpoint), "reachable": told.reached, "healthy": well, "read_ms": read_ms}
            answer(b"", own | {"failing": failing, "error": problem or None}, True)
            continue
        word = ("healthy", "green") if well else ("unhealthy" if told.reached else "unreachable", "red")
        why = "; ".join([*(f"not {name}" for name in failing), *([problem] if problem else [])])
        time = "" if read_ms is None else f"{read_ms:.1f} ms"
        rows.append([cell(told.endpoint), Cell(*word), cell(time), cell(why)])
    if not to.as_json:
        table.add(rows)
    return _status_of(reached, healthy)
