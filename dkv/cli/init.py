"""``dkv init``: make an empty directory the data directory of one node."""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import partial
from pathlib import Path

import click

from dkv.cli.access import all_nodes
from dkv.cli.access_options import admits
from dkv.cli.joining import add_joiner, check_joiner, invitation_of, unstarted
from dkv.cli.output import Failure, Status, say
from dkv.cli.types import PathName, Whole
from dkv.client.blocking import Endpoint
from dkv.client.url import Destination
from dkv.config.config import NODE_ID_MAX, Config, ConfigError, load_config
from dkv.identity import Identity
from dkv.storage.data_directory import CLUSTER_KEY_BYTES, DirectoryError, draw_cluster_key, initialise


def one_node(context: click.Context, option: click.Parameter, text: str | None) -> Destination | None:
    """The one node that was typed, if one was."""
    found = all_nodes(context, option, text)
    if found is not None and len(found.endpoints) > 1:
        raise click.BadParameter("one member is enough")
    return found


@click.command(
    short_help="Initialise the data directory of one node.",
    epilog="""\b
Exit status:
  0  done
  1  nothing was initialised
  2  usage
  3  with --join: initialised; no node of the cluster could be reached then
  4  with --join: initialised; the cluster refused the node, and the message says why
  5  with --join: initialised; nobody knows whether the node is a standby
After 3, 4 and 5 give the same command again.""",
)
@click.option(
    "--config", required=True, type=PathName(), envvar="DKV_CONFIG", show_envvar=True, help="The cluster's config file."
)
@click.option(
    "--node",
    required=True,
    type=Whole(1, NODE_ID_MAX),
    envvar="DKV_NODE",
    show_envvar=True,
    help="Which node of it: its id.",
)
@click.option(
    "--data-dir",
    type=PathName(),
    envvar="DKV_DATA_DIR",
    show_envvar=True,
    help="The directory, new or empty.  [default: ./data/node<ID>]",
)
@click.option(
    "--cluster-key",
    envvar="DKV_CLUSTER_KEY",
    show_envvar=True,
    metavar="HEX",
    help="The key that the first node of the cluster was given: 32 hexadecimal digits.  [default: draw a new one]",
)
@click.option(
    "--join",
    metavar="HOST:PORT",
    callback=one_node,
    help="Join a cluster that runs, as a standby: any member of it, by its client port.",
)
@partial(admits, where="join")
def init(config: Path, node: int, data_dir: Path | None, cluster_key: str | None, join: Destination | None) -> int:
    """Initialise the data directory of one node, once, before its first start.

    It writes the cluster's name and first members, the node's id and a random number that tells this directory from any
    other. A directory that holds anything is refused. A node that lost its directory must not come back by this
    command: it would vote again on what it had promised and forgotten.

    Nodes with different cluster keys refuse each other, whatever their clusters are called. For the first node of a
    cluster a key is drawn and printed; give it to all others with --cluster-key.

    With --join the node becomes a standby of a cluster that runs: start it then. Its id must be a new one, higher than
    those of all nodes that the cluster ever had, and its config file must list the present members beside itself, but
    for a lost one whose address it takes over. Any member tells the rest, the key included. Until the node has started,
    the command may be given again: it does what is missing.
    """
    directory = str(data_dir or Path("data", f"node{node}"))
    try:
        loaded = load_config(str(config), os.environ)
        loaded.member(node)
    except ConfigError as error:
        raise Failure(Status.USAGE, "USAGE", str(error)) from None
    if join is not None:
        if cluster_key is not None:
            raise Failure(
                Status.USAGE, "USAGE", "--join and --cluster-key exclude each other: the member tells the key"
            )
        return _join(join.endpoints[0], loaded, directory, node)
    key = draw_cluster_key() if cluster_key is None else parsed_key(cluster_key)
    _initialise(directory, loaded.cluster, node, [member.id for member in loaded.members], key)
    if cluster_key is None and len(loaded.members) > 1:
        say(f"for each of the other nodes: dkv init --config {config} --node ID --cluster-key {key.hex()}")
    return Status.DONE


def _join(member: Endpoint, config: Config, directory: str, node: int) -> int:
    """Make the directory, and then the node a standby of the cluster; what is done already is left out."""
    invitation = invitation_of(member)
    made = unstarted(directory, invitation, node)
    check_joiner(invitation, config, node, made)
    if made is None:
        made = _initialise(directory, config.cluster, node, invitation.first_members, invitation.cluster_key)
    add_joiner(member, config, made)
    say("start it: it catches up; then `dkv replace` puts it in the place of a voter, or `dkv member promote` adds one")
    return Status.DONE


def _initialise(directory: str, cluster: str, node: int, first_members: Collection[int], key: bytes) -> Identity:
    try:
        identity = initialise(directory, cluster, node, first_members, key)
    except DirectoryError as error:
        raise Failure(Status.FAILED, "DIRECTORY", str(error)) from None
    say(f"initialised {directory} as the data directory of node {node} of cluster {cluster!r}")
    return identity


def parsed_key(text: str) -> bytes:
    """The key in bytes; ``Failure`` if the text has not the form in which keys are printed."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != CLUSTER_KEY_BYTES:
        raise Failure(Status.USAGE, "USAGE", f"--cluster-key {text!r} is not {2 * CLUSTER_KEY_BYTES} hex digits")
    return key
