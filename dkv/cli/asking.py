"""The common part of commands that look at nodes: the nodes to ask, and the way to ask them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from dkv.cli.access import Access
from dkv.cli.output import Failure, Status
from dkv.client.blocking import Connection, NoAnswer, NotSent, Reply, ServerError, connect

CONNECT_SECONDS = 5.0
PAUSE_SECONDS = 0.005
READ_KEY = b"?"
"""Any key: the answer shows that the node serves, and has applied all that was acknowledged before."""

ALL = "Nodes to ask, all at the same time."
FIRST = "Nodes to ask, in this order, until one answers."


def pause(seconds: float) -> None:
    """Wait until it is worth asking again; not at all if that is past."""
    time.sleep(max(seconds, 0.0))


def ask_first(to: Access, *request: bytes) -> tuple[Access, Reply]:
    """The first endpoint's answer to a request that reads, and access to only this endpoint."""
    endpoint, reply = to.ask_where(*request)
    return replace(to, endpoints=(endpoint,)), reply


def patiently(ask: Callable[[], Reply], seconds: float) -> Reply:
    """An answer of a node that may say: ask again in a moment."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except ServerError as error:
            if error.word != "TRYAGAIN" or time.monotonic() > deadline:
                raise
        pause(PAUSE_SECONDS)


@contextmanager
def one_node(to: Access, left: Callable[[], str]) -> Iterator[Connection]:
    """A connection to the first endpoint that serves, for questions that one node alone can answer together.

    ``Failure`` if it is lost; ``left`` says what was done until then.
    """
    endpoint, _ = to.ask_where(b"GET", READ_KEY)
    try:
        with connect(endpoint, CONNECT_SECONDS, to.answer_seconds) as connection:
            if to.database:
                connection.select(to.database)
            yield connection
    except (NotSent, NoAnswer) as error:
        raise Failure(Status.UNREACHABLE, "UNREACHABLE", f"{left()}: {error}") from None
    except ServerError as error:
        raise Failure(Status.REFUSED, error.word, f"refused by {endpoint}: {error.text}; {left()}") from None


def not_understood(to: Access, reply: Reply) -> Failure:
    """The failure for an odd answer. The request only asked something, so nothing is left undone."""
    asked = ",".join(map(str, to.endpoints))
    return Failure(Status.REFUSED, "ODD_ANSWER", f"a node of dkv would not answer as {asked} does: {reply!r:.60}")
