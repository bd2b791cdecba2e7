"""``dkv backup``: the state of a running cluster, in a file."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import click

from dkv.cli.access import ANSWER_SECONDS, Access, looks
from dkv.cli.asking import CONNECT_SECONDS, FIRST, READ_KEY, not_understood, patiently, pause
from dkv.cli.checked_backup import CheckedBackup, backup_fields
from dkv.cli.new_file import output
from dkv.cli.output import Failure, Status, complain, say
from dkv.cli.own import end_as_interrupted
from dkv.cli.progress_bar import ProgressBar
from dkv.cli.status_table import size
from dkv.cli.types import Number, PathName
from dkv.cli.waiting import Waiting
from dkv.client.blocking import Connection, NoAnswer, NotSent, Reply, ServerError, connect
from dkv.wire.backup_file import Pair

COVERED_SECONDS = 30.0
"""How long to wait until the node has written back what it had applied; it does so about once a second."""
MIB = 1 << 20


@click.command(
    short_help="Save the state of a running cluster in a file.",
    epilog="""\b
Exit status:
  0    the file is whole, and on disk
  1    it could not be written, or what came was damaged
  2    usage: the command line is wrong
  3    nobody reachable: no endpoint answered, or the one that did is gone
  4    refused: that node would not serve a read, or is busy with another backup
  5    that node did not finish an answer in time
  74   stdout could not be written
  130  interrupted
With every status but 0 there is no file.""",
)
@click.argument("file", metavar="FILE|-", type=PathName(allow_dash=True))
@click.option("--rate", type=Number(0.001, 1_000_000), metavar="MIB", help="At most so many MiB a second.")
@looks(FIRST, ANSWER_SECONDS)
def backup(to: Access, file: Path, rate: float | None) -> int:
    """Save the state of the cluster, as the first endpoint that serves has it on its disk: all keys, and the tokens of
    producers. - is stdout.

    Everything that the cluster acknowledged before the command began is in the file. It is the state after one slot
    exactly, however much is written meanwhile. Each part is checked as it comes, and `dkv verify FILE` checks the file
    again. `dkv restore` makes a new cluster of it.

    The node reads a fifth of its time at most; --rate makes it less. Name a follower with --endpoints to spare the
    leader. Only the owner of the file may read it. A file that exists is not written over.
    """
    path = None if str(file) == "-" else file
    end_as_interrupted()
    if path is None and sys.stdout is not None and sys.stdout.isatty():
        raise Failure(Status.USAGE, "USAGE", "stdout is a terminal: name a file, or send the backup into a pipe")
    made = CheckedBackup("the backup")
    began = time.monotonic()
    try:
        with output(path, "backup") as write:
            written = fetch(to, made, lambda piece, _: write(piece), "saving", rate)
    except KeyboardInterrupt:
        left = "what was printed is no backup" if path is None else f"{path} was not made"
        raise Failure(Status.INTERRUPTED, "INTERRUPTED", f"interrupted; {left}") from None
    header, census, seconds = made.header, made.census, time.monotonic() - began
    text = (
        f"{census.keys} keys, {size(written)} in {seconds:.1f} s, from node {header.node} of cluster "
        f"{header.cluster!r}: all that was acknowledged before, up to slot {header.applied_through}"
    )
    if path is None:
        complain(text)  # stdout has the backup
    elif to.as_json:
        say(json.dumps({"file": str(path), "bytes": written} | backup_fields(made), ensure_ascii=False))
    else:
        say(f"{path}: {text}")
    return Status.DONE


# --- from a node ---


Take = Callable[[bytes, list[Pair]], object]
"""Is given each piece of a backup, and the pairs that it completes."""


def fetch(to: Access, made: CheckedBackup, take: Take, what: str, rate: float | None = None) -> int:
    """Fetch a backup from the first node that serves, check it, and let ``take`` have it; its size in bytes.

    ``what`` is done meanwhile, at most at a ``rate`` in MiB a second.
    """
    endpoint, _ = to.ask_where(b"GET", READ_KEY)
    try:
        with ExitStack() as opened:
            connection = opened.enter_context(connect(endpoint, CONNECT_SECONDS, to.answer_seconds))
            first, total = _begin(to, connection)
            progress = opened.enter_context(ProgressBar(what, total))
            for piece in _pieces(to, connection, first):
                take(piece, made.feed(piece))
                progress.add(len(piece))
                if rate is not None:
                    pause(max(progress.done / (rate * MIB) - progress.seconds, 0.0))
            made.finish()
            return progress.done
    except NotSent as error:
        raise Failure(Status.UNREACHABLE, "UNREACHABLE", f"nobody reachable: {error}") from None
    except NoAnswer as error:
        raise Failure(Status.UNCERTAIN, error.word, f"{made.name} is not whole: {error}") from None
    except ServerError as error:
        raise Failure(Status.REFUSED, error.word, f"refused by {endpoint}: {error.text}") from None


def _begin(to: Access, connection: Connection) -> tuple[bytes, int]:
    """The first piece of a backup with all that was acknowledged by now, and how many bytes it may have.

    A read, on this very connection, shows that the node has applied all that. So the state on its disk must cover what
    the node has applied then; the node writes it back soon.
    """
    connection.call(b"GET", READ_KEY)
    status = _status(to, connection.call(b"DKV.STATUS"))
    slot = status.get("applied_through")
    if not isinstance(slot, int):
        raise not_understood(to, repr(slot))
    total = status.get("state_live_bytes") or 0
    with Waiting(lambda: f"{connection.endpoint} has not written slot {slot} back to its disk yet"):
        first = patiently(lambda: connection.call(b"DKV.BACKUP", b"BEGIN", b"%d" % slot), COVERED_SECONDS)
    if not isinstance(first, bytes):
        raise not_understood(to, first)
    return first, total if isinstance(total, int) else 0


def _status(to: Access, reply: Reply) -> dict[str, object]:
    try:
        found = json.loads(reply) if isinstance(reply, bytes) else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise not_understood(to, reply)
    return found


def _pieces(to: Access, connection: Connection, first: bytes) -> Iterator[bytes]:
    yield first
    while (piece := patiently(lambda: connection.call(b"DKV.BACKUP", b"NEXT"), to.answer_seconds)) is not None:
        if not isinstance(piece, bytes):
            raise not_understood(to, piece)
        yield piece
