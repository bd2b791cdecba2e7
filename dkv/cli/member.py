"""``dkv member``: who the members of a cluster are, and changes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import click

from dkv.cli.access import ANSWER_SECONDS, Access, looks
from dkv.cli.asking import FIRST
from dkv.cli.change_plan import MemberStep, Seen, add, failures, failures_survived, move, promote, refused, remove
from dkv.cli.change_run import Changer
from dkv.cli.node_status import STATUS_REQUEST, status_fields
from dkv.cli.output import Failure, Status, say
from dkv.cli.table import Table, cell
from dkv.cli.types import Seconds, Whole
from dkv.client.blocking import Endpoint
from dkv.client.survey import ask_one
from dkv.kv.membership import ID_MAX

WAIT_SECONDS = 60.0

STATUSES = """\b
Exit status:
  0    done: the change is complete, or was before
  2    usage: the command line is wrong; nothing was sent
  3    nobody reachable: no endpoint answered; no member was changed
  4    refused: no member was changed; the message says why, and what to do
  5    outcome unknown, or not complete in time: give the same command again
  74   the answer could not be written to stdout
  130  interrupted: give the same command again"""

NODE = Whole(1, ID_MAX)


def changes(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of a change, and ``changer``, its first argument."""

    def run(to: Access, wait: float, yes: bool, dry_run: bool, **arguments: Any) -> int:
        return command(Changer(to, wait, yes, dry_run), **arguments)

    update_wrapper(run, command)
    options = (
        click.option("--dry-run", is_flag=True, help="Show the plan, and whether it would be taken; change nothing."),
        click.option("--yes", is_flag=True, help="Also if an even number of voters would be left."),
        click.option(
            "--wait",
            type=Seconds(86_400),
            default=WAIT_SECONDS,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait for a new node to catch up, and then for the change to be complete.",
        ),
    )
    for option in reversed(options):
        run = option(run)
    return looks(FIRST, ANSWER_SECONDS)(run)


@click.group(short_help="Show the members, or change them.")
def member() -> None:
    """Show who the members of a cluster are, or change them while it runs.

    Voters agree on writes: more than half of them must work. Standbys hold the same data and are counted nowhere. Each
    command shows its plan, and ends when the change is complete: then old nodes may be switched off. Each may be given
    again, whatever became of it: what is done already is left out. docs/members.md explains how it works.
    """


@member.command("list", short_help="Show who the members are.", epilog=STATUSES)
@looks(FIRST, ANSWER_SECONDS)
def list_members(to: Access) -> int:
    """Show the members: voters, standbys, and nodes that are about to leave.

    BEHIND is how many slots a node has still to apply, as the node says that was asked. With --output json it is one
    object: "slot", "pending", "ids_through", "leader", "voters", "standbys", "failures_survived", "members".
    """
    now = Changer(to, 0.0, yes=False, dry_run=True).look()
    if to.as_json:
        say(json.dumps(_fields(now)))
        return Status.DONE
    rows = []
    for node, each in sorted(now.members.items()):
        kind = f"{each['kind']}, will be {each['becomes']}" if each["becomes"] else each["kind"]
        role = "leader" if node == now.leader else "" if node in now.told else "no answer"
        rows.append(
            [*map(cell, (node, kind, role, now.behind.get(node), each["client"], each["peer"], each["incarnation"]))]
        )
    Table("NODE", "KIND", "ROLE", "BEHIND", "CLIENTS", "PEERS", "INCARNATION", spare=("INCARNATION", "PEERS")).add(rows)
    survived = failures(failures_survived(len(now.voters)))
    pending = f"; a change is under way, since slot {now.slot}" if now.pending else ""
    say(f"the cluster survives {survived}; the next new node is {now.ids_through + 1} or higher{pending}")
    return Status.DONE


def _fields(now: Seen) -> dict[str, Any]:
    return {
        "slot": now.slot,
        "pending": now.pending,
        "ids_through": now.ids_through,
        "leader": now.leader or None,
        "voters": sorted(now.voters),
        "standbys": sorted(now.standbys),
        "failures_survived": failures_survived(len(now.voters)),
        "members": [*now.members.values()],
    }


def endpoint(_: click.Context, __: click.Parameter, text: str) -> Endpoint:
    """A ``HOST:PORT``."""
    try:
        return Endpoint.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@member.command("add", short_help="Make a new node a standby.", epilog=STATUSES)
@click.argument("new", metavar="HOST:PORT", callback=endpoint)
@changes
def add_member(changer: Changer, new: Endpoint) -> int:
    """Make the new node whose clients' port is at HOST:PORT a standby of the cluster at --endpoints.

    `dkv init --join` does so itself; this is for a node that started before it was added. It says itself what its id is
    and how its peers and clients reach it.
    """
    return changer.change((step_to_add(new.admitting(changer.access)),))


def step_to_add(new: Endpoint) -> MemberStep:
    """The step that adds the node which runs at ``new``, by what it says of itself."""
    (found,) = ask_one(new, [STATUS_REQUEST], ANSWER_SECONDS)
    fields, problem = status_fields(found)
    if problem:
        text = f"the new node does not answer: {problem}; start it first, and name the port of its clients"
        raise Failure(Status.UNREACHABLE, "UNREACHABLE", text)
    own = fields.get("advertised")
    if not isinstance(own, dict) or not all(own.get(name) for name in ("peer", "client")):
        raise refused(f"the node at {new} does not say how its peers and clients reach it; is its version this one?")
    return add(fields["node"], fields["incarnation"], own["peer"], own["client"])


@member.command("promote", short_help="Make standbys voters.", epilog=STATUSES)
@click.argument("nodes", metavar="ID...", nargs=-1, required=True, type=NODE)
@changes
def promote_members(changer: Changer, nodes: tuple[int, ...]) -> int:
    """Make standbys voters, all at once. Each must have caught up; --wait says how long that may take."""
    return changer.change(tuple(map(promote, nodes)))


@member.command("remove", short_help="Remove members for ever.", epilog=STATUSES)
@click.argument("nodes", metavar="ID...", nargs=-1, required=True, type=NODE)
@changes
def remove_members(changer: Changer, nodes: tuple[int, ...]) -> int:
    """Remove members, all at once and for ever: an id is never used again. To put another node in the place of one
    that is lost use `dkv replace`."""
    return changer.change(tuple(map(remove, nodes)))


@member.command("move", short_help="Tell all where a member is now.", epilog=STATUSES)
@click.argument("node", metavar="ID", type=NODE)
@click.option("--peer", required=True, callback=endpoint, metavar="HOST:PORT", help="Where its peers reach it.")
@click.option("--client", required=True, callback=endpoint, metavar="HOST:PORT", help="Where its clients reach it.")
@changes
def move_member(changer: Changer, node: int, peer: Endpoint, client: Endpoint) -> int:
    """Tell all members and clients that a member is found at other addresses, for example on a new machine with its
    old directory. Give the command before it starts there, or after; the other nodes must be a majority without it."""
    return changer.change((move(node, str(peer), str(client)),))
