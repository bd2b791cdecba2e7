"""``dkv import``: keys from lines of JSON into a running cluster.

A line is a plain SET, of a value and a deadline that do not depend on what is there. So lines may be imported again,
and an import that ended early may begin anew at any line. Within one run each line also carries a token. Without it a
request that a node took and did not answer could take effect minutes later, after its repetition and after what others
have written since. With it the late one does nothing: once the command has ended with status 0 nothing of it comes
later.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import click

from dkv.cli.access import ANSWER_SECONDS, Access, database_option, looks
from dkv.cli.asking import CONNECT_SECONDS, FIRST, pause
from dkv.cli.checked_backup import file_size, name_of, opened
from dkv.cli.json_lines import BadLine, Row, rows
from dkv.cli.output import Failure, Status, counted, say
from dkv.cli.own import end_as_interrupted
from dkv.cli.progress_bar import ProgressBar
from dkv.cli.types import PathName, Seconds, Whole
from dkv.cli.waiting import for_answer
from dkv.client.blocking import Connection, Endpoint, NoAnswer, NotSent, Reply, ServerError, connect
from dkv.client.outcome import RETRIED_ELSEWHERE
from dkv.client.producer import next_token
from dkv.replies import Error

BATCH_LINES = 256
"""How many lines are under way at once. A token must not be forgotten before its answer is there, so this is well below
``ANSWERS_MAX`` in ``dkv.kv.sessions``."""

BATCH_BYTES = 1 << 20
WAIT_SECONDS = 60.0
PAUSE_SECONDS = 0.2
"""How long to wait before the next node is asked, after one that could not do it."""

AGAIN = RETRIED_ELSEWHERE | {"UNCERTAIN"}


class _Line(NamedTuple):
    """A line that is not imported yet: its number, its key's database, and its request without the op id."""

    number: int
    db: int
    op: int
    write: tuple[bytes, ...]


class Importer:
    """Sends lines to the nodes of ``to``, many at a time, each until it is answered.

    ``through`` is the last line before which all are imported, and which is itself. ``kept`` counts keys that existed,
    with ``keep``. It waits for ``wait_seconds`` at most until anything goes on.
    """

    def __init__(self, to: Access, wait_seconds: float, keep: bool) -> None:
        self.through = 0
        self.kept = 0
        self._to = to
        self._wait_seconds = wait_seconds
        self._keep = keep
        self._token = next_token(None)  # a producer of its own: its ops would push others out
        self._ops = 0
        self._lines: list[_Line] = []
        self._names: set[tuple[int, bytes]] = set()
        self._bytes = 0
        self._endpoints: list[Endpoint] = to.silence().last(to.endpoints)
        self._connection: Connection | None = None
        self._database = 0

    def add(self, number: int, row: Row) -> None:
        """Import a line; it may be sent a little later. ``Failure`` if one of those before it, or it, is refused."""
        name = (row.db, row.key)
        if len(self._lines) == BATCH_LINES or self._bytes > BATCH_BYTES or name in self._names:
            self.flush()  # a key has one line under way: of two, the second could be answered first
        self._names.add(name)
        self._bytes += len(row.key) + len(row.value)
        self._ops += 1
        self._lines.append(_Line(number, row.db, self._token.op + self._ops, self._write(row)))

    def flush(self) -> None:
        """Send what is left, until all of it is answered."""
        deadline = time.monotonic() + self._wait_seconds
        with for_answer(self._endpoints):
            while self._lines:
                before = len(self._lines)
                trouble = self._try()
                if len(self._lines) < before:
                    deadline = time.monotonic() + self._wait_seconds
                if trouble is None:
                    continue
                if time.monotonic() > deadline:
                    raise trouble
                self._go_elsewhere()
                pause(PAUSE_SECONDS)
        self._names.clear()
        self._bytes = 0

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write(self, row: Row) -> tuple[bytes, ...]:
        life: tuple[bytes, ...] = ()
        if row.deadline_ms:
            life = (b"PXAT", b"%d" % row.deadline_ms)
        elif row.ttl_ms:
            life = (b"PX", b"%d" % row.ttl_ms)
        return (b"SET", row.key, row.value, *life, *([b"NX"] if self._keep else []))

    def _try(self) -> Failure | None:
        """Send lines of one database to one node, once; what is wrong, if they are not all answered.

        The database is chosen and agreed on before: a SET behind a SELECT that is refused would be for another one.
        """
        db = self._lines[0].db
        batch = list(takewhile(lambda line: line.db == db, self._lines))
        try:
            connection = self._connection or self._connect()
            if self._database != db:
                connection.select(db)
                self._database = db
            replies = connection.call_all(
                [(b"IDMP", self._token.producer, b"%d" % line.op, *line.write) for line in batch]
            )
        except NotSent as error:
            return Failure(Status.UNREACHABLE, "UNREACHABLE", f"nobody reachable: {error}")
        except NoAnswer as error:
            return Failure(Status.UNCERTAIN, error.word, f"outcome unknown: {error}")
        except ServerError as error:
            trouble = _refusal(error.text)
            if error.word not in AGAIN:
                raise trouble from None
            return trouble
        return self._take(batch, replies)

    def _connect(self) -> Connection:
        self._connection = connect(self._endpoints[0], CONNECT_SECONDS, self._to.answer_seconds)
        self._database = 0
        return self._connection

    def _take(self, batch: list[_Line], replies: list[Reply]) -> Failure | None:
        """Leave out the lines that are done. Returned is why some have to be sent again; a refusal is raised."""
        trouble: Failure | None = None
        final: Failure | None = None
        left: list[_Line] = []
        for line, reply in zip(batch, replies, strict=True):
            if reply == "OK":
                continue
            if reply is None and self._keep:
                self.kept += 1
                continue
            left.append(line)
            if not isinstance(reply, Error):
                final = final or Failure(
                    Status.UNCERTAIN, "NO_ANSWER", f"line {line.number}: a node of dkv would not answer {reply!r:.60}"
                )
                continue
            trouble = _refusal(reply.text)
            if trouble.word not in AGAIN:
                final = final or Failure(Status.REFUSED, trouble.word, f"line {line.number} was {trouble.message}")
        last = self._lines[-1].number
        self._lines = left + self._lines[len(batch) :]
        self.through = self._lines[0].number - 1 if self._lines else last
        if final is not None:
            raise final
        return trouble

    def _go_elsewhere(self) -> None:
        self.close()
        self._endpoints.append(self._endpoints.pop(0))


def _refusal(text: str) -> Failure:
    word = text.partition(" ")[0]
    if word == "UNCERTAIN":
        return Failure(Status.UNCERTAIN, word, f"outcome unknown: {text}")
    return Failure(Status.REFUSED, word, f"refused: {text}")


@click.command(
    "import",
    short_help="Read keys from lines of JSON.",
    epilog="""\b
Exit status:
  0    all lines are imported
  1    a line is broken, or the file is cut or cannot be read; the lines before that one are imported
  2    usage: the command line is wrong
  3    nobody reachable: no endpoint answered for --wait seconds
  4    refused: a line, by the cluster
  5    outcome unknown: of some lines
  74   stdout could not be written
  130  interrupted
With every status but 0 the message says up to which line all are imported, and where to go on. To import a line again
does no harm.""",
)
@click.argument("file", metavar="FILE|-", type=PathName(allow_dash=True))
@click.option("--from-line", "first", type=Whole(), default=1, metavar="N", help="Leave out the lines before this one.")
@click.option("--keep", is_flag=True, help="Leave keys that exist as they are.")
@click.option("--check", is_flag=True, help="Only read the file, to its end; send nothing.")
@click.option(
    "--wait",
    type=Seconds(),
    default=WAIT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long to try if no node takes a line.",
)
@database_option("Put all keys into this database", "that of each line")
@looks(FIRST, ANSWER_SECONDS)
def load(to: Access, file: Path, first: int, keep: bool, check: bool, wait: float, db: int | None) -> int:
    """Set keys as the lines of FILE say, of `dkv export` or of any program. - is stdin.

    A line is {"db": 0, "key": "k", "value": "v"}, with "key_base64" and "value_base64" for what is not UTF-8. A key
    that expires has "deadline_ms" (milliseconds since 1970) or "ttl_ms" (from the import on). "db" may be left out.
    With --db all keys go to that database.

    A line sets its key whatever was there before; keys that the file lacks stay. The first broken line ends it, and
    nothing of that line is imported. It is safe to import a file again, or from any line on: the same keys get the same
    values. Only what others have written to them since is lost, and "ttl_ms" begins anew.
    """
    end_as_interrupted()
    importer = Importer(to, wait, keep)
    began = time.monotonic()
    try:
        lines = _import(importer, file, first, check, to.database or None if db is None else db)
    except (Failure, KeyboardInterrupt) as error:
        failure = error if isinstance(error, Failure) else Failure(Status.INTERRUPTED, "INTERRUPTED", "interrupted")
        raise _ended(importer, first, check, failure) from None
    finally:
        importer.close()
    _tell(to, file, importer, lines, check, time.monotonic() - began)
    return Status.DONE


def _import(importer: Importer, file: Path, first: int, check: bool, db: int | None) -> int:
    """Import all lines from ``first`` on; how many. The lines before a broken one are imported, and then it fails."""
    lines = 0
    try:
        with opened(file) as stream, ProgressBar("checking" if check else "importing", file_size(stream)) as progress:
            for number, length, row in rows(stream):
                progress.add(length)
                if number >= first:
                    lines += 1
                    if not check:
                        importer.add(number, row if db is None else replace(row, db=db))
    except OSError as error:
        raise Failure(Status.FAILED, "FILE", f"cannot read {name_of(file)}: {error.strerror}") from None
    except BadLine as error:
        importer.flush()
        raise Failure(Status.FAILED, "LINE", f"{name_of(file)}: {error}") from None
    importer.flush()
    return lines


def _ended(importer: Importer, first: int, check: bool, failure: Failure) -> Failure:
    """The failure, and how to go on."""
    through = importer.through
    if check:
        done = ""
    elif through < first:
        done = "; no line is known to be imported"
    else:
        imported = f"lines {first} to {through} are" if through > first else f"line {first} is"
        done = f"; {imported} imported: go on with --from-line {through + 1}"
    return Failure(failure.status, failure.word, failure.message + done)


def _tell(to: Access, file: Path, importer: Importer, lines: int, check: bool, seconds: float) -> None:
    if to.as_json:
        say(json.dumps({"file": name_of(file), "keys": lines, "kept": importer.kept, "seconds": round(seconds, 3)}))
    elif check:
        say(f"{name_of(file)}: {counted(lines, 'key')}, and nothing is wrong; nothing was sent")
    else:
        kept = f"; {importer.kept} of them existed already, and were left as they were" if importer.kept else ""
        say(f"{name_of(file)}: {counted(lines, 'key')} imported in {seconds:.1f} s{kept}")
