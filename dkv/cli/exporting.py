"""``dkv export``: the keys of a cluster, or of a backup, as lines of JSON."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import click

from dkv.cli.access import ANSWER_SECONDS, Access, database_option, looks
from dkv.cli.asking import FIRST
from dkv.cli.backup import fetch
from dkv.cli.checked_backup import CheckedBackup, name_of, read_checked
from dkv.cli.json_lines import Row, first_line, last_line, line_of
from dkv.cli.new_file import output
from dkv.cli.output import Status, complain, counted, say
from dkv.cli.own import end_as_interrupted
from dkv.cli.status_table import size
from dkv.cli.types import PathName
from dkv.keys import STATE, TIME, unpack_number
from dkv.kv.codes import DATABASES
from dkv.kv.glob import PATTERN_BYTES_MAX, Glob
from dkv.kv.stored import unpack_string
from dkv.wire.backup_file import Pair


class Exporter:
    """Makes lines of the pairs of a backup, and hands them to ``write``.

    Only keys of ``database`` are taken, unless it is None, and only those that ``pattern`` matches.
    """

    def __init__(
        self, made: CheckedBackup, write: Callable[[bytes], object], database: int | None, pattern: Glob
    ) -> None:
        self.keys = self.bytes = self.time_ms = 0
        self._made = made
        self._write = write
        self._database = database
        self._pattern = pattern
        self._numbers: dict[int, int] = {}

    def take(self, pairs: list[Pair]) -> None:
        """The next pairs, in the order of their keys: the time comes before all keys."""
        lines: list[bytes] = []
        for key, stored in pairs:
            if key == TIME:
                self.time_ms = unpack_number(stored)
            elif key[:1] == STATE:
                if not self.bytes and not lines:
                    lines.append(self._first_line())
                row = self._row(key, stored)
                if row is not None:
                    self.keys += 1
                    lines.append(line_of(row))
        self._put(b"".join(lines))

    def finish(self) -> None:
        """There are no more pairs."""
        self._put((b"" if self.bytes else self._first_line()) + last_line(self.keys))

    def _first_line(self) -> bytes:
        header = self._made.header
        spaces = header.spaces or range(DATABASES)
        self._numbers = {space: number for number, space in enumerate(spaces)}
        return first_line(
            cluster=header.cluster, node=header.node, applied_through=header.applied_through, time_ms=self.time_ms
        )

    def _row(self, name: bytes, stored: bytes) -> Row | None:
        """The key, unless it is gone or not wanted."""
        number, key, held = self._numbers.get(name[1]), name[2:], unpack_string(stored)
        if number is None or self._database not in (None, number) or 0 < held.deadline <= self.time_ms:
            return None
        return Row(number, key, held.value, held.deadline) if self._pattern.matches(key) else None

    def _put(self, data: bytes) -> None:
        self.bytes += len(data)
        if data:
            self._write(data)


def _glob(_: click.Context, __: click.Parameter, word: str) -> Glob:
    pattern = os.fsencode(word)
    if len(pattern) > PATTERN_BYTES_MAX:
        raise click.BadParameter(f"a pattern has at most {PATTERN_BYTES_MAX} bytes")
    return Glob(pattern)


@click.command(
    short_help="Write keys as lines of JSON.",
    epilog="""\b
Exit status:
  0    the file is whole, and on disk
  1    it could not be written, or what came was damaged
  2    usage: the command line is wrong
  3    nobody reachable: no endpoint answered, or the one that did is gone
  4    refused: that node would not serve a read, or is busy with a backup
  5    that node did not finish an answer in time
  74   stdout could not be written
  130  interrupted
With every status but 0 there is no file.""",
)
@click.argument("file", metavar="FILE|-", type=PathName(allow_dash=True))
@click.option("--match", "pattern", callback=_glob, default="*", metavar="PATTERN", help="Only keys that match.")
@click.option(
    "--from-backup", "backup", type=PathName(allow_dash=True), metavar="FILE", help="Read a backup, and ask no node."
)
@database_option("Only the keys of this database", "all")
@looks(FIRST, ANSWER_SECONDS)
def export(to: Access, file: Path, pattern: Glob, backup: Path | None, db: int | None) -> int:
    """Write all keys of the cluster, of all databases or of --db, as lines of JSON. - is stdout.

    A line has "db", "key", "value" and, for a key that expires, "deadline_ms" in milliseconds since 1970. What is not
    UTF-8 comes in base64, as "key_base64" and "value_base64". The first line says where the keys come from and the last
    one how many there are.

    The keys are those after one slot exactly, as in `dkv backup`, and all that was acknowledged before the command
    began is there. `dkv import` reads the file. Tokens of producers are not in it: to make a new cluster of the whole
    state use `dkv backup`.
    """
    path = None if str(file) == "-" else file
    end_as_interrupted()
    made = CheckedBackup("the export" if backup is None else name_of(backup))
    began = time.monotonic()
    with output(path, "export") as write:
        exporter = Exporter(made, write, to.database or None if db is None else db, pattern)
        if backup is None:
            fetch(to, made, lambda _, pairs: exporter.take(pairs), "exporting")
        else:
            for pairs in read_checked(backup, "exporting", made):
                exporter.take(pairs)
        exporter.finish()
    header = made.header
    text = (
        f"{counted(exporter.keys, 'key')}, {size(exporter.bytes)} in {time.monotonic() - began:.1f} s, of cluster "
        f"{header.cluster!r} up to slot {header.applied_through}"
    )
    if path is None:
        complain(text)  # stdout has the keys
    elif to.as_json:
        say(json.dumps({"file": str(path), "keys": exporter.keys, "applied_through": header.applied_through}))
    else:
        say(f"{path}: {text}")
    return Status.DONE
