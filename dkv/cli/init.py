"""``dkv init``: make an empty directory the data directory of one node."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dkv.cli.output import Failure, Status, say
from dkv.cli.types import PathName, Whole
from dkv.config.config import NODE_ID_MAX, ConfigError, load_config
from dkv.storage.data_directory import CLUSTER_KEY_BYTES, DirectoryError, draw_cluster_key, initialise


@click.command(
    short_help="Initialise the data directory of one node.",
    epilog="Exit status: 0 done, 1 nothing was initialised, 2 usage.",
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
def init(config: Path, node: int, data_dir: Path | None, cluster_key: str | None) -> int:
    """Initialise the data directory of one node, once, before its first start.

    It writes the cluster's name and members, the node's id and a random number that tells this directory from any
    other. A directory that holds anything is refused. A node that lost its directory must not come back by this
    command: it would vote again on what it had promised and forgotten.

    Nodes with different cluster keys refuse each other, whatever their clusters are called. For the first node of a
    cluster a key is drawn and printed; give it to all others with --cluster-key.
    """
    directory = str(data_dir or Path("data", f"node{node}"))
    try:
        loaded = load_config(str(config), os.environ)
        loaded.member(node)
    except ConfigError as error:
        raise Failure(Status.USAGE, "USAGE", str(error)) from None
    key = draw_cluster_key() if cluster_key is None else parsed_key(cluster_key)
    try:
        initialise(directory, loaded.cluster, node, [member.id for member in loaded.members], key)
    except DirectoryError as error:
        raise Failure(Status.FAILED, "DIRECTORY", str(error)) from None
    say(f"initialised {directory} as the data directory of node {node} of cluster {loaded.cluster!r}")
    if cluster_key is None and len(loaded.members) > 1:
        say(f"for each of the other nodes: dkv init --config {config} --node ID --cluster-key {key.hex()}")
    return Status.DONE


def parsed_key(text: str) -> bytes:
    """The key in bytes; ``Failure`` if the text has not the form in which keys are printed."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != CLUSTER_KEY_BYTES:
        raise Failure(Status.USAGE, "USAGE", f"--cluster-key {text!r} is not {2 * CLUSTER_KEY_BYTES} hex digits")
    return key
