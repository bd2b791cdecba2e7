"""``dkv leader transfer``: another node leads, without an election timeout."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from dkv.cli.access import Access, looks
from dkv.cli.asking import ALL, not_understood, pause
from dkv.cli.node_status import STATUS_REQUEST, STATUS_SECONDS, status_fields
from dkv.cli.output import Failure, Status, say
from dkv.cli.types import Whole
from dkv.client.addresses import present
from dkv.client.blocking import Endpoint
from dkv.client.survey import ask_all, ask_one

TRANSFER_SECONDS = 5.0
"""How long the other node may take to lead. It takes milliseconds, or something is wrong."""
AGAIN_SECONDS = 0.5
"""When to send the order again: the node that was asked may have lost its campaign."""
POLL_SECONDS = 0.02
NODE_MAX = 2**32 - 1


@click.group(short_help="Let another node lead.", invoke_without_command=True)
@click.pass_context
def leader(context: click.Context) -> int:
    """Let another node lead. `dkv status` shows which one does."""
    if context.invoked_subcommand is None:
        say(context.get_help())
        return Status.USAGE
    return Status.DONE


@leader.command(
    short_help="Let node ID lead, while all nodes serve.",
    epilog="""\b
Exit status:
  0    node ID leads
  1    it was asked, and did not take over in time
  2    usage: the command line is wrong
  3    nobody reachable: no endpoint answered
  4    refused: no leader answers, or node ID cannot lead; the message says why
  74   the answer could not be written to stdout
  130  interrupted""",
)
@click.argument("node", metavar="ID", type=Whole(1, NODE_MAX))
@looks(ALL, STATUS_SECONDS)
def transfer(to: Access, node: int) -> int:
    """Ask the leader to hand over to node ID, and wait until that node leads.

    The leader goes on until the other node has its majority, so that writes wait for milliseconds and clients see no
    error. Refused are nodes that do not vote, that the leader does not hear, or that are far behind. It is safe to
    repeat. A leader that gets a SIGTERM hands over by itself.

    With --output json one object: "leader", "ballot", "before" (the node that led), "seconds".
    """
    began = time.monotonic()
    before, ballot, endpoint = _leader(to, node)
    if before == node:
        return _tell(to, node, ballot, before, began)
    asked_at, answer = began - AGAIN_SECONDS, ""
    while time.monotonic() < began + TRANSFER_SECONDS:
        if time.monotonic() >= asked_at + AGAIN_SECONDS:
            asked_at = time.monotonic()
            answer = _order(to, endpoint, node)
        found = [fields for fields in _look(to).values() if fields.get("leader") == node]
        if found:
            return _tell(to, node, str(found[0].get("leader_ballot")), before, began)
        pause(POLL_SECONDS)
    why = answer or "its log may say why"
    raise Failure(Status.FAILED, "NOT_TAKEN_OVER", f"node {node} does not lead after {TRANSFER_SECONDS:g} s: {why}")


def _look(to: Access) -> dict[Endpoint, dict[str, Any]]:
    """The status of each node that answers. Asked are those of ``to``, and all members that any of these names."""
    endpoints = present(to.endpoints, to.answer_seconds)
    answers = [own[0] for own in ask_all(endpoints, [STATUS_REQUEST], to.answer_seconds)]
    found = {each.endpoint: status_fields(each)[0] for each in answers if each.reached}
    if not found:
        problems = "; ".join(dict.fromkeys(each.problem for each in answers))
        raise Failure(Status.UNREACHABLE, "UNREACHABLE", f"nobody reachable: {problems}")
    return found


def _leader(to: Access, node: int) -> tuple[int, str, Endpoint]:
    """The node that leads, its ballot and its endpoint; ``Failure`` if there is none to be asked."""
    found = _look(to)
    leading = [(str(fields.get("leader_ballot")), endpoint) for endpoint, fields in found.items() if _leads(fields)]
    if leading:
        ballot, endpoint = max(leading, key=lambda each: _round(each[0]))
        return int(found[endpoint]["node"]), ballot, endpoint
    if any(fields.get("mode") == "classic" for fields in found.values()):
        raise Failure(Status.REFUSED, "CLASSIC", "refused: nobody leads in classic mode")
    known = sorted({str(fields["leader"]) for fields in found.values() if fields.get("leader")})
    if known:
        text = f"refused: node {' or '.join(known)} leads, and does not answer: only a leader can hand over"
        raise Failure(Status.REFUSED, "NOT_THE_LEADER", text)
    raise Failure(Status.REFUSED, "NO_LEADER", "refused: nobody leads at the moment; ask again")


def _leads(fields: dict[str, Any]) -> bool:
    return fields.get("role") == "leader" and isinstance(fields.get("node"), int)


def _round(ballot: str) -> int:
    """Two nodes may say for a moment that they lead: the higher ballot does."""
    head = ballot.partition(".")[0]
    return int(head) if head.isdigit() else 0


def _order(to: Access, endpoint: Endpoint, node: int) -> str:
    """Ask the leader to hand over; what it says if it cannot do so now. One that does not lead any more has done so."""
    (told,) = ask_one(endpoint, [(b"DKV.LEADER", b"TRANSFER", b"%d" % node)], to.answer_seconds)
    word = told.problem.partition(" ")[0]
    if not told.reached or word == "TRYAGAIN" or "does not lead" in told.problem:
        return told.problem
    if told.problem:
        raise Failure(Status.REFUSED, word, f"refused by {endpoint}: {told.problem}")
    if told.reply != "OK":
        raise not_understood(to, told.reply)
    return ""


def _tell(to: Access, node: int, ballot: str, before: int, began: float) -> int:
    seconds = round(time.monotonic() - began, 3)
    if to.as_json:
        say(json.dumps({"leader": node, "ballot": ballot, "before": before, "seconds": seconds}))
    elif before == node:
        say(f"node {node} leads already, in ballot {ballot}")
    else:
        say(f"node {node} leads in ballot {ballot}; node {before} did before")
    return Status.DONE
