"""The group of ``dkv``'s commands, and how each failure of any of them ends the process."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import click

import dkv as package
from dkv.cli.check import check
from dkv.cli.cluster import cluster
from dkv.cli.data import append, delete, get, put
from dkv.cli.init import init
from dkv.cli.output import Failure, Status, complain, emit, say
from dkv.cli.sim import sim


class Group(click.Group):
    """Says each error in one line, also as a JSON object where JSON was asked for, and exits with its status."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and exit the process, always: ``standalone_mode`` is here because click's method has it."""
        words = list(sys.argv[1:] if args is None else args)
        try:
            status = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        except Failure as failure:
            status = _report(failure, words)
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx is not None else "dkv"
            message = f"{error.format_message()} (see {path} --help)"
            status = _report(Failure(Status.USAGE, "USAGE", message), words)
        except click.Abort:
            text = "interrupted; a write that was under way may or may not happen"
            status = _report(Failure(Status.INTERRUPTED, "INTERRUPTED", text), words)
        sys.exit(int(status or Status.DONE))


def _report(failure: Failure, words: list[str]) -> Status:
    complain(failure.message)
    if "--output=json" in words or ("--output", "json") in pairwise(words):
        try:
            emit(json.dumps({"error": failure.word, "message": failure.message, "status": failure.status}).encode())
        except Failure:
            pass  # stdout is what failed, or fails too; stderr has the message, and the status stands
    return failure.status


@click.group(cls=Group, invoke_without_command=True)
@click.version_option(package.__version__, prog_name="dkv", message="%(prog)s %(version)s")
@click.pass_context
def dkv(context: click.Context) -> int:
    """Read and write a dkv cluster, and run one."""
    if context.invoked_subcommand is None:
        say(context.get_help())
        return Status.USAGE
    return Status.DONE


for command in (put, get, append, delete, init, cluster, sim, check):
    dkv.add_command(command)
