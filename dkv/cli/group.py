"""The group of ``dkv``'s commands, and the end of the process for each kind of failure."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any

import click

import dkv as package
from dkv.cli.named_commands import NamedCommands
from dkv.cli.output import Failure, Status, complain, emit, say, surprises

SECTIONS = {
    "Data": {
        "put": "data:put",
        "get": "data:get",
        "append": "data:append",
        "delete": "data:delete",
        "incr": "conditional:incr",
        "cas": "conditional:cas",
        "expire": "ttl:expire",
        "ttl": "ttl:ttl",
        "keys": "listing:keys",
        "scan": "listing:scan",
        "repl": "repl:repl",
    },
    "A cluster's state": {
        "health": "status:health",
        "status": "status:status",
        "metrics": "metrics:metrics",
        "log": "log:log",
        "compare": "compare:compare",
        "doctor": "doctor:doctor",
    },
    "Run a cluster": {"init": "init:init", "cluster": "cluster:cluster", "leader": "leader:leader"},
    "Who may do what": {"certs": "certs:certs", "user": "user:user"},
    "Change its members": {"member": "member:member", "replace": "replace:replace"},
    "Files of a cluster": {
        "backup": "backup:backup",
        "restore": "restore:restore",
        "export": "exporting:export",
        "import": "importing:load",
        "inspect": "inspect:inspect",
        "verify": "verify:verify",
        "recover": "recover:recover",
    },
    "Faults and proofs": {
        "scenario": "scenario:scenario",
        "drop-rules": "drop_rules:drop_rules",
        "sim": "sim:sim",
        "check": "check:check",
    },
    "Speed": {"bench": "bench:bench"},
    "The shell": {"completion": "completion:completion"},
}
"""The commands as the help groups them, each with its module here. A module is imported when it is needed: ``dkv get``
does not wait for the simulator."""


MEANT = {"set": "put", "del": "delete", "rm": "delete", "list": "keys", "help": "--help"}
"""The words here for those that people know from elsewhere, and that are no more like them than others."""

EPILOG = """\b
Exit status of every command, besides its own:
  2    usage: the command line is wrong; nothing was sent
  70   an error of dkv's own; a write that was under way may or may not happen
  74   the answer, whatever it was, could not be written to stdout
  130  interrupted; a write that was under way may or may not happen
  141  nobody reads stdout any more"""


class Program(click.Command):
    """A command that is a whole program: it says each error in one line, as a JSON object too where JSON was asked for,
    and exits with its status."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        """Parse the command line as far as the command's name."""
        with surprises():  # here, and not in main: click turns a closed pipe into status 1
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with surprises():
            return super().invoke(ctx)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and always exit the process: ``standalone_mode`` is here because click's method has it."""
        words = list(sys.argv[1:] if args is None else args)
        try:
            with surprises():
                status = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        except Failure as failure:
            status = _report(failure, words)
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx is not None else self.name
            message = f"{' '.join(error.format_message().split())} (see {path} --help)"  # click sets choices in lines
            status = _report(Failure(Status.USAGE, "USAGE", message), words)
        except click.ClickException as error:
            status = _report(Failure(Status.USAGE, "USAGE", error.format_message()), words)
        except click.Abort:
            text = "interrupted; a write that was under way may or may not happen"
            status = _report(Failure(Status.INTERRUPTED, "INTERRUPTED", text), words)
        sys.exit(int(status or Status.DONE))


class Group(Program, NamedCommands):
    """``dkv``: imports each of its commands when it is needed."""

    meant = MEANT

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help."""
        return [name for commands in SECTIONS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name."""
        for commands in SECTIONS.values():
            if cmd_name in commands:
                module, name = commands[cmd_name].split(":")
                command: click.Command = getattr(import_module(f"dkv.cli.{module}"), name)
                return command
        return None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what stands before the command's name. Options of commands are often written there."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.possibilities:
                raise
            ctx.fail(f"No such option {error.option_name!r} here: the options of a command stand behind its name.")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section."""
        width = max(map(len, self.list_commands(ctx)))
        for section, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(section):
                formatter.write_dl(
                    [(f"{name:<{width}}", command.get_short_help_str(80)) for name, command in commands if command]
                )


def _report(failure: Failure, words: list[str]) -> Status:
    if failure.status is Status.NO_READER:  # such as head, which has had enough
        return failure.status
    complain(failure.message)
    if "--output=json" in words or ("--output", "json") in pairwise(words):
        try:
            emit(json.dumps({"error": failure.word, "message": failure.message, "status": failure.status}).encode())
        except Failure:
            pass  # stdout has failed, or fails too; stderr has the message, and the status stands
    return failure.status


@click.group(cls=Group, invoke_without_command=True, epilog=EPILOG)
@click.version_option(package.__version__, prog_name="dkv", message="%(prog)s %(version)s")
@click.pass_context
def dkv(context: click.Context) -> int:
    """Read and write a dkv cluster, and run one."""
    if context.invoked_subcommand is None:
        say(context.get_help())
        return Status.USAGE
    return Status.DONE
