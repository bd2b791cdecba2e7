"""The common part of commands that look at nodes: the nodes to ask, and the way to ask them."""

from __future__ import annotations

import time
from dataclasses import replace

from dkv.cli.access import Access
from dkv.cli.output import Failure, Status
from dkv.client.blocking import Reply

ALL = "Nodes to ask, all at the same time."
FIRST = "Nodes to ask, in this order, until one answers."


def pause(seconds: float) -> None:
    """Wait until it is worth asking again; not at all if that is past."""
    time.sleep(max(seconds, 0.0))


def ask_first(to: Access, *request: bytes) -> tuple[Access, Reply]:
    """The first endpoint's answer to a request that reads, and access to only this endpoint."""
    endpoint, reply = to.ask_where(*request)
    return replace(to, endpoints=(endpoint,)), reply


def not_understood(to: Access, reply: Reply) -> Failure:
    """The failure for an odd answer. The request only asked something, so nothing is left undone."""
    asked = ",".join(map(str, to.endpoints))
    return Failure(Status.REFUSED, "ODD_ANSWER", f"a node of dkv would not answer as {asked} does: {reply!r:.60}")
