"""``dkv replace``: another node in the place of one that is lost, in one command."""

from __future__ import annotations

import click

from dkv.cli.change_plan import MemberStep, promote, refused, remove
from dkv.cli.change_run import Changer
from dkv.cli.member import NODE, STATUSES, changes


@click.command("replace", short_help="Put new nodes in the place of lost ones.", epilog=STATUSES)
@click.argument("nodes", metavar="ID...", nargs=-1, required=True, type=NODE)
@click.option(
    "--with", "successors", required=True, multiple=True, type=NODE, metavar="ID", help="The standby that takes over."
)
@changes
def replace(changer: Changer, nodes: tuple[int, ...], successors: tuple[int, ...]) -> int:
    """Put a standby in the place of a member, in one step: the number of voters stays, and no write waits for a node
    that is gone.

    A node that lost its disk comes back as another node, with a new id: what it had promised is forgotten, so its old
    id must not vote again. Start it on a directory of `dkv init --join`, and name it with --with. Several nodes are
    replaced at once if --with is given as often.
    """
    if len(nodes) != len(set(nodes)) or len(successors) != len(set(successors)) or len(nodes) != len(successors):
        raise refused(f"{len(nodes)} nodes leave and {len(successors)} take their place: name each once, as many as go")
    if same := {*nodes} & {*successors}:
        raise refused(f"node {min(same)} cannot take its own place: name the standby that takes over with --with")
    steps: tuple[MemberStep, ...] = (*map(remove, nodes), *map(promote, successors))
    return changer.change(steps)
