"""The options of the commands that look at nodes, and the ways to ask one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from dkv.cli.data import ENDPOINTS, Access, endpoints_list
from dkv.cli.output import Failure, Status
from dkv.client.blocking import Reply
from dkv.client.failover import RETRIED_ELSEWHERE

ALL = "Nodes to ask, all at the same time."
FIRST = "Nodes to ask, in this order, until one answers."


def looks(help: str, seconds: float) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command the options of ``Access``, as its first argument; ``seconds`` is the default of --timeout."""
    options = (
        click.option(
            "--endpoints",
            callback=endpoints_list,
            metavar="HOST:PORT,...",
            envvar="DKV_ENDPOINTS",
            default=ENDPOINTS,
            show_default=True,
            show_envvar=True,
            help=help,
        ),
        click.option("--output", type=click.Choice(("text", "json")), default="text", show_default=True),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            default=seconds,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait for an answer of one node.",
        ),
    )

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        def run(endpoints: Any, output: str, timeout: float, **arguments: Any) -> int:
            return command(Access(endpoints, output == "json", timeout), **arguments)

        run.__doc__ = command.__doc__
        run.__name__ = command.__name__
        for option in reversed(options):
            run = option(run)
        return run

    return decorate


def ask_first(to: Access, *request: bytes) -> tuple[Access, Reply]:
    """The answer of the first endpoint that gives one to a request that reads, and access to that one alone."""
    failures: list[Failure] = []
    for endpoint in to.endpoints:
        one = replace(to, endpoints=(endpoint,))
        try:
            return one, one.read(*request)
        except Failure as failure:
            if failure.status != Status.UNREACHABLE and failure.word not in RETRIED_ELSEWHERE:
                raise
            failures.append(failure)
    refusals = [failure for failure in failures if failure.status != Status.UNREACHABLE]
    if refusals:
        raise refusals[-1]
    reasons = "; ".join(failure.message.removeprefix("nobody reachable: ") for failure in failures)
    raise Failure(Status.UNREACHABLE, "UNREACHABLE", f"nobody reachable: {reasons}")


def not_understood(to: Access, reply: Reply) -> Failure:
    """What was asked was only a question, so an odd answer leaves nothing undone."""
    asked = ",".join(map(str, to.endpoints))
    return Failure(Status.REFUSED, "ODD_ANSWER", f"a node of dkv would not answer as {asked} does: {reply!r:.60}")
