"""``dkv verify``: whether a stopped node's data directory, or the file of a backup, is whole and undamaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dkv.cli.checked_backup import CheckedBackup, backup_fields, name_of, read_checked
from dkv.cli.inspect import take_census
from dkv.cli.output import Failure, Status, answer
from dkv.cli.progress_bar import ProgressBar
from dkv.cli.types import PathName
from dkv.keys import APPLIED_THROUGH, unpack_number
from dkv.kv.census import StateDamaged
from dkv.storage.data_directory import DirectoryError
from dkv.storage.fence import fence_of
from dkv.storage.log_check import check_log
from dkv.storage.log_contents import log_contents
from dkv.storage.stopped import StoppedNode, stopped_node


@click.command(
    short_help="Check a stopped node's data directory, or a backup.",
    epilog="Exit status: 0 it is whole, 1 it is damaged, cut, in use or cannot be read, 2 usage.",
)
@click.argument("path", metavar="DATA_DIR|FILE", type=PathName(allow_dash=True))
@click.option("--output", type=click.Choice(("text", "json")), default="text", show_default=True)
def verify(path: Path, output: str) -> int:
    """Read all of a stopped node's data directory, or of a backup (- is stdin), and check it.

    Of a directory: every checksum, of LevelDB and of dkv; that the log has every slot behind its beginning up to its
    marks; that log and state go together, by the digest; and the form of every key and value. Nothing in it changes,
    and one that is in use is refused.

    Of a backup: the checksum of each part, the order and the form of its keys and values, their count, its length and
    its hash.
    """
    if path.is_dir():
        text, fields = _verify_directory(str(path))
    else:
        text, fields = _verify_backup(path)
    answer(text.encode("utf-8", "surrogateescape"), fields, output == "json")
    return Status.DONE


# --- a directory ---


def _verify_directory(directory: str) -> tuple[str, dict[str, Any]]:
    try:
        with stopped_node(directory) as node:
            return _verify_node(node)
    except DirectoryError as error:
        raise Failure(Status.FAILED, "DIRECTORY", str(error)) from None
    except StateDamaged as error:
        raise Failure(Status.FAILED, "DAMAGED", f"{directory} is damaged: {error}") from None


def _verify_node(node: StoppedNode) -> tuple[str, dict[str, Any]]:
    with ProgressBar("checking", node.log_bytes + node.state_bytes) as progress:
        for key, value in node.log.scan(b""):
            progress.add(len(key) + len(value))
        check_log(node.log, node.state)
        census = take_census(node, progress)
    applied_through = unpack_number(node.state.get(APPLIED_THROUGH))
    records, fenced = log_contents(node.log).records, fence_of(node.log)
    me = node.identity
    text = (
        f"ok: {node.directory} of node {me.node} of cluster {me.cluster!r}: {records} records of the log, "
        f"{census.keys} keys up to slot {applied_through}"
    )
    if fenced is not None:
        text += f"; but it is fenced, and must not take part any more: {fenced}"
    return text, {
        "ok": True,
        "directory": node.directory,
        "cluster": me.cluster,
        "node": me.node,
        "fenced": fenced,
        "records": records,
        "keys": census.keys,
        "applied_through": applied_through,
    }


# --- a backup ---


def _verify_backup(path: Path) -> tuple[str, dict[str, Any]]:
    backup = CheckedBackup(name_of(path))
    for _ in read_checked(path, "checking", backup):
        pass  # it is checked as it is read
    header, census = backup.header, backup.census
    text = (
        f"ok: {name_of(path)} has the state of cluster {header.cluster!r} up to slot {header.applied_through}: "
        f"{census.keys} keys"
    )
    return text, {"ok": True, "file": str(path)} | backup_fields(backup)
