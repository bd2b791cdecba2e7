"""``dkv restore``: data directories of a new cluster, with the state of a backup."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click

from dkv.cli.checked_backup import CheckedBackup, read_checked
from dkv.cli.init import parsed_key
from dkv.cli.output import Failure, Status, say
from dkv.cli.own import end_as_interrupted
from dkv.cli.types import PathName, Whole
from dkv.config.config import NODE_ID_MAX, Config, ConfigError, load_config
from dkv.storage.data_directory import DirectoryError, draw_cluster_key, empty_directory, initialise
from dkv.storage.restored import restore_state, restored_key, restored_through
from dkv.storage.state_directories import StateDirectory
from dkv.wire.backup_file import Pair


@click.command(
    short_help="Make a new cluster from a backup.",
    epilog="Exit status: 0 done, 1 nothing was made, 2 usage, 130 interrupted, and nothing was made.",
)
@click.argument("file", metavar="FILE", type=PathName())
@click.option(
    "--config",
    required=True,
    type=PathName(),
    envvar="DKV_CONFIG",
    show_envvar=True,
    help="The new cluster's config file.",
)
@click.option(
    "--node",
    type=Whole(1, NODE_ID_MAX),
    envvar="DKV_NODE",
    show_envvar=True,
    help="Which node of it: its id.  [default: all, for a cluster on this machine]",
)
@click.option(
    "--data-dir",
    type=PathName(),
    envvar="DKV_DATA_DIR",
    show_envvar=True,
    help="The node's directory, new or empty.  [default: ./data/node<ID>; of all nodes: where these are, ./data]",
)
@click.option(
    "--cluster-key",
    envvar="DKV_CLUSTER_KEY",
    show_envvar=True,
    metavar="HEX",
    help="The key that the restore of the first node printed.  [default: draw a new one]",
)
def restore(file: Path, config: Path, node: int | None, data_dir: Path | None, cluster_key: str | None) -> int:
    """Make a new cluster that has the state of the backup FILE: all keys, and the tokens of producers.

    Every node of it needs the same file: copy it to each machine, and restore each node there, with the --cluster-key
    that the first one printed. Without --node all nodes are made on this machine, as `dkv cluster` lays them out. The
    new cluster may have another name, and more or fewer nodes.

    Nodes that were made from different backups, or by `dkv init`, refuse each other. Slots, and with them revisions,
    go on far above those of the old cluster. The whole file is checked before anything is made, and a directory that
    holds anything is refused.
    """
    end_as_interrupted()
    try:
        loaded = load_config(str(config), os.environ)
        nodes = [member.id for member in loaded.members] if node is None else [loaded.member(node).id]
    except ConfigError as error:
        raise Failure(Status.USAGE, "USAGE", str(error)) from None
    drawn = draw_cluster_key() if cluster_key is None else parsed_key(cluster_key)
    if node is None:
        places = {each: (data_dir or Path("data")) / f"node{each}" for each in nodes}
    else:
        places = {node: data_dir or Path("data", f"node{node}")}
    try:
        backup = _restore(file, loaded, places, drawn)
    except KeyboardInterrupt:
        raise Failure(Status.INTERRUPTED, "INTERRUPTED", "interrupted; nothing was made") from None
    header, keys = backup.header, backup.census.keys
    for each, path in places.items():
        say(f"restored {path} as the data directory of node {each} of cluster {loaded.cluster!r}")
    say(
        f"{keys} keys of cluster {header.cluster!r} as after its slot {header.applied_through}; "
        f"the new cluster's slots go on above {restored_through(header.applied_through)}"
    )
    if node is not None and cluster_key is None and len(loaded.members) > 1:
        say(f"for each of the other nodes: dkv restore {file} --config {config} --node ID --cluster-key {drawn.hex()}")
    return Status.DONE


def _restore(file: Path, config: Config, places: dict[int, Path], drawn: bytes) -> CheckedBackup:
    """Check the file, then make every directory, or none; what the file holds."""
    checked = CheckedBackup(str(file))
    for _ in read_checked(file, "checking", checked):
        pass  # nothing is made of a file with a mistake in it
    key = restored_key(drawn, checked.digest)
    members = [member.id for member in config.members]
    with ExitStack() as undo:
        for node, path in places.items():
            made = [each for each in (path, *path.parents) if not each.exists()]
            filling = _Filling(file, f"restoring node {node}", checked)
            try:
                initialise(str(path), config.cluster, node, members, key, filling)
            except DirectoryError as error:
                raise Failure(Status.FAILED, "DIRECTORY", str(error)) from None
            undo.callback(_remove, path, made)
        undo.pop_all()
    return checked


class _Filling:
    """Writes what is in the file into a new state; ``checked`` is what was found in it before."""

    def __init__(self, file: Path, what: str, checked: CheckedBackup) -> None:
        self._file = file
        self._what = what
        self._checked = checked

    def __call__(self, state: StateDirectory) -> dict[bytes, bytes]:
        return restore_state(state, self._chunks(), restored_through(self._checked.header.applied_through))

    def _chunks(self) -> Iterator[list[Pair]]:
        again = CheckedBackup(str(self._file))
        yield from read_checked(self._file, self._what, again)
        if again.digest != self._checked.digest:
            raise Failure(Status.FAILED, "FILE", f"{self._file} has changed while it was read")


def _remove(path: Path, made: list[Path]) -> None:
    """Undo what made a directory: empty it, and remove it and its parents if they were made, too."""
    empty_directory(str(path))
    for each in made:
        each.rmdir()
