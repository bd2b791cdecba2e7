"""``dkv status`` and ``dkv health``: the state of every node in its own words, and whether it serves."""

from __future__ import annotations

from collections.abc import Callable

import click

from dkv.cli.access import Access, looks
from dkv.cli.asking import ALL
from dkv.cli.node_status import STATUS_REQUEST, STATUS_SECONDS, status_fields
from dkv.cli.output import Status, answer, say
from dkv.cli.status_table import Found, lags, rate, status_lines
from dkv.cli.table import Cell, Table, cell
from dkv.cli.watch import repeat, watch
from dkv.client.survey import ask_all

HEALTH_SECONDS = 6.0
"""Longer than a node takes until it gives up a read and says so (``request_seconds``, 5 by default)."""

HEALTH_KEY = b"health"
"""The key for a read that only tests whether a node can read: it need not exist."""


# --- status ---


@click.command(
    short_help="Show every node's role, ballot and progress.",
    epilog="""\b
Exit status:
  0    all endpoints answered
  1    some did not; their rows say why
  2    usage: the command line is wrong
  3    nobody reachable: no endpoint answered
  74   the answer could not be written to stdout
  130  interrupted (--watch: 0)""",
)
@click.option("--watch", "watched", is_flag=True, help="Look again every second, until Ctrl-C.")
@click.option("--clocks", is_flag=True, help="Show the replicated time, and how far each machine's clock is from it.")
@looks(ALL, STATUS_SECONDS)
def status(to: Access, watched: bool, clocks: bool) -> int:
    """Show two tables of all nodes, in the order of the endpoints.

    CHOSEN and APPLIED are the last slots that the node knows chosen, and has executed; LAG is by how many slots APPLIED
    is behind the highest CHOSEN of all. LEADER is the node it takes for the leader, BALLOT that leader's ballot, and
    PROMISED the highest one that it has promised itself: above BALLOT while another node runs for leader, below it if
    it was not asked. READY is whether it serves.

    LOG SLOTS says how many slots the node's log holds, from where it is compacted to its end; LOG and STATE are the
    sizes of the files of its two databases, FREE what is free on their disk. KEYS was counted exactly, but some time
    ago: seconds for few keys, an hour or so for millions. "state_counted_seconds" of --output json says how long.

    COMMIT P99 is a time that 99 of 100 writes to its disk did not exceed in the last half minute to minute. Below the
    tables are a line for each snapshot under way, for each reason why a node does not serve, for each thing that a node
    warns of, and for each peer that it does not reach. Where nodes have dialled their peers over TLS, a line says which
    ones have, and one each which have not yet.

    With --clocks there is a third table: CLOCK says how far the clock of each machine is ahead of the replicated time,
    by which keys expire. The leader knows that. A clock that is more than 10 s off is named in any case.

    With --watch the tables are drawn again in place every second, or printed one after another into a pipe, and
    WRITES/S says how many write commands each node applied in a second. Ctrl-C ends it with status 0.

    With --output json every endpoint is an object: "endpoint", "reachable", "lag", "error" (null if it answered), and
    the fields of DKV.STATUS.
    """
    if not watched:
        found = _look(to)
        if to.as_json:
            _answer_json(found)
        else:
            for line in status_lines(found, clocks=clocks):
                say(line)
        return _status_of([each.answer.reached for each in found], [not each.problem for each in found])
    if to.as_json:
        repeat(lambda: _answer_json(_look(to)))
    else:
        watch("dkv status", _pictures(to, clocks))
    return Status.DONE


def _look(to: Access) -> list[Found]:
    answers = [own[0] for own in ask_all(to.endpoints, [STATUS_REQUEST], to.answer_seconds)]
    return [Found(each, *status_fields(each)) for each in answers]


def _pictures(to: Access, clocks: bool) -> Callable[[], list[str]]:
    """What makes the lines of one look after another, each with the rates since the one before."""
    before: list[Found] | None = None

    def look() -> list[str]:
        nonlocal before
        found = _look(to)
        rates: list[int | None] = [None] * len(found) if before is None else list(map(rate, before, found))
        before = found
        return status_lines(found, rates, clocks)

    return look


def _answer_json(found: list[Found]) -> None:
    for each, lag in zip(found, lags(found), strict=True):
        own = {"endpoint": str(each.answer.endpoint), "reachable": each.answer.reached}
        answer(b"", own | {"error": each.problem or None, "lag": lag} | each.fields, True)


def _status_of(reached: list[bool], good: list[bool]) -> int:
    if not any(reached):
        return Status.UNREACHABLE
    return Status.DONE if all(good) else Status.FAILED


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
