"""``dkv scenario``: what a cluster promises, played through and checked, step by step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial, update_wrapper
from typing import Any

import click

from dkv.cli.access import all_nodes
from dkv.cli.access_options import admits
from dkv.cli.output import Failure, Status, say
from dkv.cli.scenarios import basic as basic_
from dkv.cli.scenarios import duplicates as duplicates_
from dkv.cli.scenarios import failover as failover_
from dkv.cli.scenarios import growing as growing_
from dkv.cli.scenarios import loadtest as loadtest_
from dkv.cli.scenarios import moving as moving_
from dkv.cli.scenarios import partition as partition_
from dkv.cli.scenarios import recovering as recovering_
from dkv.cli.scenarios import recovery as recovery_
from dkv.cli.scenarios import replacing as replacing_
from dkv.cli.scenarios import stuck_disk as stuck_disk_
from dkv.cli.scenarios.report import Report, StepFailed
from dkv.cli.scenarios.stage import Stage, own_stage
from dkv.cli.types import Number, Whole
from dkv.client.blocking import NoAnswer, NotSent, ServerError
from dkv.client.url import Destination
from dkv.settings import LEADER, MODES

STATUSES = "Exit status: 0 PASS, 1 FAIL, 2 usage, 3 a node of --endpoints is not reachable, 130 interrupted."


class _Scenarios(click.Group):
    """Shows the whole description of each scenario, which click would cut."""

    def listed(self) -> list[tuple[str, str]]:
        """The scenarios, each with its description."""
        return [(name, command.get_short_help_str(80)) for name, command in sorted(self.commands.items())]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for the help."""
        with formatter.section("Scenarios"):
            formatter.write_dl(self.listed())


@click.group(
    cls=_Scenarios, invoke_without_command=True, short_help="Play through what a cluster promises, and check it."
)
@click.pass_context
def scenario(context: click.Context) -> int:
    """Play through what a cluster promises, and check every step; without a name, list what there is.

    Each scenario starts a cluster of its own on this machine, in a temporary directory and on free ports, and ends it
    afterwards; or it uses the nodes of --endpoints, where its keys have a random prefix and are deleted in the end.
    """
    if context.invoked_subcommand is None:
        for name, plays in scenario.listed():
            say(f"{name:<12}{plays}")
    return Status.DONE


def _plays(
    needs_own: str = "", begins_with: int | None = None
) -> Callable[[Callable[..., Callable[[Stage], None]]], Callable[..., int]]:
    """Give a scenario the common options; ``needs_own`` says why it cannot be played on a user's cluster.

    One that ``begins_with`` a fixed number of nodes has no option for it.
    """

    def decorate(command: Callable[..., Callable[[Stage], None]]) -> Callable[..., int]:
        def run(
            endpoints: Destination | None,
            mode: str | None,
            output: str,
            nodes: int | None = begins_with,
            **arguments: Any,
        ) -> int:
            if endpoints is not None and needs_own:
                text = f"{_name(command)} needs a cluster of its own, for {needs_own}: leave out --endpoints"
                raise click.UsageError(text)
            if endpoints is not None and (mode or nodes):
                raise click.UsageError("--mode and --nodes are for a cluster of its own: leave out --endpoints")
            report = Report(_name(command), output == "json")
            stage: AbstractContextManager[Stage] = own_stage(report, nodes or 3, mode or LEADER)
            if endpoints is not None:
                stage = nullcontext(Stage(report, endpoints.endpoints))
            return _play(report, stage, command(**arguments))

        update_wrapper(run, command)
        given = admits(run)
        for option in reversed(_options(needs_own, begins_with)):
            given = option(given)
        return scenario.command(_name(command), epilog=STATUSES)(given)

    return decorate


def _name(command: Callable[..., object]) -> str:
    return command.__name__.replace("_", "-")


def _options(needs_own: str, begins_with: int | None) -> tuple[Callable[..., Any], ...]:
    given = "" if needs_own else "  Instead of a cluster of its own."
    size = click.option("--nodes", type=click.Choice((3, 5)), help="How many nodes its own cluster has.  [default: 3]")
    return (
        click.option(
            "--endpoints",
            callback=all_nodes,
            metavar="HOST:PORT,...",
            hidden=bool(needs_own),
            help=f"All nodes of a running cluster.{given}",
        ),
        click.option("--mode", type=click.Choice(MODES), help=f"How its own cluster agrees.  [default: {LEADER}]"),
        *(() if begins_with else (size,)),
        click.option("--output", type=click.Choice(("text", "json")), default="text", show_default=True),
    )


def _play(report: Report, stage: AbstractContextManager[Stage], play: Callable[[Stage], None]) -> int:
    try:
        with stage as on:
            try:
                play(on)
            except (NoAnswer, ServerError) as error:
                report.fail(f"a node did not answer as it should: {error}")
            except NotSent as error:
                if not on.is_own:
                    raise Failure(Status.UNREACHABLE, "UNREACHABLE", f"a node is not reachable: {error}") from None
                report.fail(f"a node could not be reached: {error}")
            finally:
                on.clean_up()
    except StepFailed:
        report.verdict(False)
        return Status.FAILED
    report.verdict(True)
    return Status.DONE


@_plays()
def basic() -> Callable[[Stage], None]:
    """Writes on one node are seen at once on the others."""
    return basic_.play


@_plays()
def duplicates() -> Callable[[Stage], None]:
    """A hundred requests with one token are applied once."""
    return duplicates_.play


@_plays(failover_.NEEDS_OWN)
def failover() -> Callable[[Stage], None]:
    """The leader is killed under load, and nothing acknowledged is lost."""
    return failover_.play


@_plays(stuck_disk_.NEEDS_OWN)
def stuck_disk() -> Callable[[Stage], None]:
    """The leader's disk hangs under load, and another node leads."""
    return stuck_disk_.play


@_plays(recovery_.NEEDS_OWN)
@click.option("--writes", type=Whole(1, 1_000_000), default=10, show_default=True, help="While the node is down.")
def recovery(writes: int) -> Callable[[Stage], None]:
    """A node that was down fetches what it missed."""
    return partial(recovery_.play, writes=writes)


@_plays(recovering_.NEEDS_OWN)
def recover() -> Callable[[Stage], None]:
    """A majority is destroyed under load, and a cluster of one begins with what is left."""
    return recovering_.play


@_plays(replacing_.NEEDS_OWN)
def replace() -> Callable[[Stage], None]:
    """A disk is lost under load, and a new node takes the place of its node."""
    return replacing_.play


@_plays(growing_.NEEDS_OWN, growing_.BEGINS_WITH)
def grow() -> Callable[[Stage], None]:
    """One node becomes three, five and three again under load, and survives kills."""
    return growing_.play


@_plays(moving_.NEEDS_OWN)
def move() -> Callable[[Stage], None]:
    """A member moves under load, then all are replaced, and clients find them."""
    return moving_.play


@_plays()
def partition() -> Callable[[Stage], None]:
    """A node that is cut off refuses, and the others serve."""
    return partition_.play


@_plays()
@click.option("--clients", type=Whole(1, 500), default=12, show_default=True, help="At the same time.")
@click.option("--seconds", type=Number(0.1, 600), default=5.0, show_default=True, metavar="SECONDS", help="How long.")
@click.option("--keys", type=Whole(1, 100_000), default=200, show_default=True, help="They share these.")
def loadtest(clients: int, seconds: float, keys: int) -> Callable[[Stage], None]:
    """Concurrent clients on all nodes; then the history is checked."""
    return partial(loadtest_.play, clients=clients, seconds=seconds, keys=keys)
