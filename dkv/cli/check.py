"""``dkv check``: is a recorded history linearizable, and if not, which operations show it?"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import IO, Any

import click

from dkv.cli.output import Failure, Status, bytes_field, complain, counted, one_line, say
from dkv.cli.types import Number, Whole
from dkv.sim.history import HistoryError, Operation, as_fields, read_history, readable
from dkv.sim.joint import Tolerance
from dkv.sim.linearize import STEPS_MAX, Verdict
from dkv.sim.linearize import check as judge

SLACK_MAX = 1e12
LINE_BYTES_MAX = 64 * 1024 * 1024
NOT_LINEARIZABLE = 1
UNDECIDED = 6


@click.command(
    short_help="Check a recorded history of any server.",
    epilog="""\b
Exit status:
  0    linearizable
  1    not linearizable
  2    usage: the command line is wrong, or FILE is no history or has no operations
  6    undecided: it took more steps than --steps
  74   the answer, whatever it was, could not be written to stdout
  130  interrupted""",
)
@click.argument("file")
@click.option("--output", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option(
    "--steps",
    type=Whole(most=10**12),
    default=STEPS_MAX,
    show_default=True,
    help="How long to search for an order, for each key and each group of keys that belong together: a million steps "
    "take about a second for a key, and half a minute for a group.",
)
@click.option(
    "--early",
    type=Number(0.0, SLACK_MAX),
    default=0.0,
    show_default=True,
    help="How much earlier than its deadline a key may go, in the unit of the times.",
)
@click.option(
    "--late",
    type=Number(0.0, SLACK_MAX),
    default=1.0,
    show_default=True,
    help="How much later than its deadline a key may still be there.",
)
def check(file: str, output: str, steps: int, early: float, late: float) -> int:
    """Check whether the history in FILE is linearizable (- reads it from stdin).

    FILE has one JSON object a line for each operation, such as
    {"client": 1, "kind": "put", "key": "x", "arguments": ["1"], "called": 0.1, "returned": 0.2}.
    docs/checking.md describes them, and how to record a history of your own server.
    """
    operations = _read(file)
    size = {"operations": len(operations), "keys": len({key for operation in operations for key in operation.keys})}
    verdict = judge(operations, steps, Tolerance(early, late))
    if output == "json":
        say(json.dumps(_fields(verdict) | size))
    elif verdict.linearizable:
        say(f"linearizable: yes ({counted(size['operations'], 'operation')}, {counted(size['keys'], 'key')})")
    else:
        _say_why(verdict)
    if verdict.undecided:
        assert verdict.key is not None
        complain(f"undecided: no order for key {readable(verdict.key)} was found or ruled out in {steps} steps")
        return UNDECIDED
    return Status.DONE if verdict.linearizable else NOT_LINEARIZABLE


def _read(file: str) -> list[Operation]:
    """The operations of a file. There must be at least one: no operations prove nothing."""
    name = "stdin" if file == "-" else file
    if file == "-" and sys.stdin is None:
        raise Failure(Status.USAGE, "HISTORY", "cannot read stdin: it is closed")
    try:
        with click.open_file(file, "rb") as lines:
            operations = read_history(_bounded(lines))
    except HistoryError as error:
        raise Failure(Status.USAGE, "HISTORY", f"{name}: {error}") from None
    except (OSError, ValueError) as error:  # ValueError: for a name with a zero byte in it
        reason = error.strerror if isinstance(error, OSError) else error
        raise Failure(Status.USAGE, "HISTORY", f"cannot read {name}: {reason}") from None
    if not operations:
        raise Failure(Status.USAGE, "HISTORY", f"{name} has no operations, so there is nothing to check")
    return operations


def _bounded(lines: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file, which may not be text, and may have no end of a line anywhere."""
    number = 0
    while line := lines.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX:
            raise HistoryError(f"line {number}: it has more than {LINE_BYTES_MAX} bytes")
        yield line


def _say_why(verdict: Verdict) -> None:
    assert verdict.key is not None
    if verdict.undecided:
        say("linearizable: undecided")
        return
    if verdict.window is None:
        say(one_line(f"linearizable: no; {verdict.proof.sentence}"))
        return
    since, keys = verdict.window.operations[0].called, verdict.window.keys
    names = f"key{'s' if len(keys) > 1 else ''} {', '.join(map(readable, keys))}"
    say(one_line(f"linearizable: no; {names}, times from {since!r} on:"))
    for line in verdict.window.text.splitlines():
        say(one_line(line))


def _fields(verdict: Verdict) -> dict[str, Any]:
    fields: dict[str, Any] = {"linearizable": None if verdict.undecided else verdict.linearizable}
    if verdict.key is not None:
        fields |= bytes_field("key", verdict.key)
    if not (verdict.linearizable or verdict.undecided):
        fields["window"] = [as_fields(operation) for operation in verdict.proof.operations]
        fields["message"] = verdict.proof.sentence
    return fields
