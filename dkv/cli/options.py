"""What the commands that look at nodes have in common: which nodes they ask, and how."""

from __future__ import annotations

from dataclasses import replace

from dkv.cli.data import Access
from dkv.cli.output import Failure, Status
from dkv.client.blocking import Reply
from dkv.client.failover import RETRIED_ELSEWHERE

ALL = "Nodes to ask, all at the same time."
FIRST = "Nodes to ask, in this order, until one answers."


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
