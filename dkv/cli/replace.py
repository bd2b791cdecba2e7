"""``dkv replace``: another node in the place of one that is lost, in one command."""

from __future__ import annotations

from collections.abc import Sequence

import click

from dkv.cli.change_plan import Seen, promote, refused, remove
from dkv.cli.change_run import Changer
from dkv.cli.member import NODE, STATUSES, changes


@click.command("replace", short_help="Put new nodes in the place of lost ones.", epilog=STATUSES)
@click.argument("nodes", metavar="ID...", nargs=-1, required=True, type=NODE)
@click.option(
    "--with",
    "successors",
    multiple=True,
    type=NODE,
    metavar="ID",
    help="The standby that takes over.  [default: the only one there is]",
)
@changes
def replace(changer: Changer, nodes: tuple[int, ...], successors: tuple[int, ...]) -> int:
    """Put a standby in the place of a member, in one step: the number of voters stays, and no write waits for a node
    that is gone.

    A node that lost its disk comes back as another node, with a new id: what it had promised is forgotten, so its old
    id must not vote again. Start it on a directory of `dkv init --join`. The command waits until it has caught up. If
    there are several standbys, say with --with which one is meant. Several nodes are replaced at once if there are as
    many standbys, or if --with is given as often.
    """
    if len(nodes) != len(set(nodes)):
        raise refused("a node is named twice")
    leave = tuple(map(remove, nodes))
    if not successors:
        now = changer.look()
        successors = only_standbys(now, [step.removes for step in leave if not step.is_done(now)])
    elif len(successors) != len(set(successors)) or len(nodes) != len(successors):
        raise refused(f"{len(nodes)} nodes leave and {len(successors)} take their place: name each once, as many as go")
    if same := {*nodes} & {*successors}:
        raise refused(f"node {min(same)} cannot take its own place: name the standby that takes over with --with")
    return changer.change((*leave, *map(promote, successors)))


def only_standbys(now: Seen, leaving: Sequence[int]) -> tuple[int, ...]:
    """The standbys that can only be meant, one for each node that is ``leaving``; ``Failure`` if others may be."""
    standbys = sorted(now.standbys - set(leaving))
    if not leaving or len(standbys) == len(leaving):
        return tuple(standbys[: len(leaving)])
    who = f"node {leaving[0]}" if len(leaving) == 1 else f"{len(leaving)} nodes"
    if len(standbys) < len(leaving):
        there = f"the only one is {standbys[0]}" if len(standbys) == 1 else f"there are {' '.join(map(str, standbys))}"
        raise refused(
            f"too few standbys to take the place of {who}: {there if standbys else 'there is none'}; `dkv init --join`"
            " makes a new node one"
        )
    raise refused(f"each of the standbys {' '.join(map(str, standbys))} could take the place of {who}: say --with ID")
