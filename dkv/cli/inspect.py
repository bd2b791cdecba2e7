"""``dkv inspect``: what is in the data directory of a node that does not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dkv.cli.output import Failure, Status, answer, say
from dkv.cli.progress_bar import ProgressBar
from dkv.cli.status_table import size
from dkv.cli.types import PathName
from dkv.configurations import Configurations
from dkv.identity import in_words
from dkv.keys import APPLIED_THROUGH, CHOSEN_THROUGH, COMPACTED, unpack_compacted, unpack_number
from dkv.kv.census import Census, StateDamaged
from dkv.kv.databases import Databases
from dkv.storage.data_directory import FIRST_FORMAT_WITH_STATES, DirectoryError, load_members
from dkv.storage.fence import fence_of
from dkv.storage.lives import votes_of
from dkv.storage.log_contents import LogContents, log_contents
from dkv.storage.stopped import StoppedNode, stopped_node

RANGES_SHOWN = 5
"""How many ranges of slots are listed for people; JSON has all."""


@click.command(
    short_help="Look into the data directory of a stopped node.",
    epilog="Exit status: 0 done, 1 the directory cannot be read, is in use or is damaged, 2 usage.",
)
@click.argument("directory", metavar="DATA_DIR", type=PathName())
@click.option("--output", type=click.Choice(("text", "json")), default="text", show_default=True)
def inspect(directory: Path, output: str) -> int:
    """Look into the data directory of a node that does not run: whose it is, its promise and marks, what its log and
    its state hold, and what they take.

    Nothing in the directory changes. A directory that is in use is refused, and a node cannot start on it meanwhile.
    The log that LevelDB has not sorted yet is copied, a few ten megabytes, into a temporary directory (TMPDIR).

    With --output json it is one object. `dkv verify` checks what this command only shows.
    """
    try:
        with stopped_node(str(directory)) as node:
            found = survey(node)
    except DirectoryError as error:
        raise Failure(Status.FAILED, "DIRECTORY", str(error)) from None
    except StateDamaged as error:
        raise Failure(Status.FAILED, "DAMAGED", f"{directory} is damaged: {error}") from None
    if output == "json":
        answer(b"", found, True)
    else:
        rows = _rows(found)
        width = max(map(len, rows))
        for name, text in rows.items():
            say(f"{name:<{width}}  {text}")
    return Status.DONE


def survey(node: StoppedNode) -> dict[str, Any]:
    """Everything that the command shows, for JSON."""
    log, me, votes = node.log, node.identity, votes_of(node.log)
    compacted_through, _ = unpack_compacted(log.get(COMPACTED))
    with ProgressBar("reading", node.log_bytes + node.state_bytes) as progress:
        records = log_contents(log)
        progress.add(node.log_bytes)
        census = take_census(node, progress)
    return {
        "directory": node.directory,
        "format": node.format_version,
        "cluster": me.cluster,
        "cluster_key": me.cluster_key.hex(),
        "members": list(me.members),
        "node": me.node,
        "incarnation": f"{me.incarnation:016x}",
        "boot": me.boot,
        "met": {str(each): f"{held.incarnation:016x}" for each, held in sorted(load_members(log).items())},
        "fenced": fence_of(log),
        "promised": str(votes.ballot),
        "votes": votes.count,
        "chosen_through": unpack_number(log.get(CHOSEN_THROUGH)),
        "compacted_through": compacted_through,
        "applied_through": unpack_number(node.state.get(APPLIED_THROUGH)),
        "log": _log_fields(records, node.log_bytes),
        "state": {
            "generation": node.generation,
            "generations": list(node.generations),
            "keys": census.keys,
            "key_bytes": census.key_bytes,
            "value_bytes": census.value_bytes,
            "producers": census.producers,
            "answers": census.answers,
            "origins": census.origins,
            "time_ms": census.time or None,
            "databases": _databases(census.databases),
            "membership": _membership(census.configurations),
            "bytes_on_disk": node.state_bytes,
        },
    }


def take_census(node: StoppedNode, progress: ProgressBar) -> Census:
    """Read the whole state; ``StateDamaged`` and ``DirectoryError`` if something is wrong with it.

    The state of formats 1 to 3 is left out: the node makes it anew from its log.
    """
    census = Census()
    if node.format_version >= FIRST_FORMAT_WITH_STATES:
        for key, value in node.state_pairs():
            census.add(key, value)
            progress.add(len(key) + len(value))
        census.finish()
    return census


def _databases(held: Databases | None) -> dict[str, Any]:
    """The counts of the databases that hold something, by number."""
    numbered = [] if held is None else held.numbered
    return {
        str(number): {"keys": database.keys, "with_deadline": database.mortal}
        for number, database in enumerate(numbered)
        if database.keys
    }


def _membership(held: Configurations | None) -> dict[str, Any] | None:
    """The newest set of members; None if the log has never changed them."""
    if held is None:
        return None
    newest, records = held.newest, held.records
    known = {record.id: record for record in records if record.id in newest.members}
    return {
        "slot": newest.slot,
        "from_slot": newest.from_slot,
        "voters": sorted(newest.voters),
        "standbys": sorted(newest.standbys),
        "ids_through": held.ids_through,
        "members": {
            str(id_): {"incarnation": f"{each.incarnation:016x}", "peer": each.peer, "client": each.client}
            for id_, each in sorted(known.items())
        },
    }


def _log_fields(records: LogContents, bytes_on_disk: int) -> dict[str, Any]:
    ranges = [list(each) for each in records.ranges]
    return {
        "records": records.records,
        "ranges": ranges,
        "value_bytes": records.value_bytes,
        "bytes_on_disk": bytes_on_disk,
    }


def _rows(found: dict[str, Any]) -> dict[str, str]:
    """The lines of the text: a name, and what stands behind it."""
    log, state = found["log"], found["state"]
    key = f", key {found['cluster_key']}" if found["cluster_key"] else ""
    rows = {
        "directory": f"{found['directory']}, format {found['format']}",
        "cluster": f"{found['cluster']!r}, members {in_words(found['members']) or 'not known yet'}{key}",
        "node": f"{found['node']}, incarnation {found['incarnation']}, last start {found['boot']}",
        "fenced": "no" if found["fenced"] is None else found["fenced"],
        "promised": f"{found['promised']}, {found['votes']} votes cast",
        "chosen through": str(found["chosen_through"]),
        "applied through": str(found["applied_through"]),
        "compacted through": str(found["compacted_through"]),
        "log": f"{log['records']} records{_slots(log['ranges'])}, {size(log['bytes_on_disk'])} on disk",
    }
    if found["format"] < FIRST_FORMAT_WITH_STATES:
        return rows | {"state": "beside the log; the next start makes it anew from the log"}
    if state["membership"] is not None:
        rows["members"] = _members_row(state["membership"])
    held = size(state["key_bytes"] + state["value_bytes"])
    return rows | {
        "state": f"generation {state['generation']}, {state['keys']} keys, keys and values of {held}, "
        f"{size(state['bytes_on_disk'])} on disk",
        "tokens": f"{state['answers']} answers for {state['producers']} producers",
    }


def _members_row(membership: dict[str, Any]) -> str:
    standbys = f"; standbys {in_words(membership['standbys'])}" if membership["standbys"] else ""
    since = f"of slot {membership['slot']}, in force from slot {membership['from_slot']}"
    return f"{since}: voters {in_words(membership['voters'])}{standbys}"


def _slots(ranges: list[list[int]]) -> str:
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:RANGES_SHOWN]]
    more = f" and {len(ranges) - RANGES_SHOWN} more ranges" if len(ranges) > RANGES_SHOWN else ""
    return f", slots {', '.join(shown)}{more}" if shown else ""
