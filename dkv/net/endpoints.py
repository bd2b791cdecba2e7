"""Twisted's endpoints as this project uses them, for listening and for dialling."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

BACKLOG = 1024
"""Connections that may wait to be accepted: a thousand clients that connect at once are no reason to drop one."""


def listening_endpoint(reactor: Any, text: str) -> Any:
    """The server endpoint that ``text`` describes, with ``BACKLOG`` unless it sets its own or its kind has none."""
    if "backlog=" not in text:
        try:
            return serverFromString(reactor, f"{text}:backlog={BACKLOG}")  # type: ignore[no-untyped-call]
        except TypeError:
            pass  # its kind takes no backlog, or was given one by position: taken as it is, below
    return serverFromString(reactor, text)  # type: ignore[no-untyped-call]


@implementer(IStreamClientEndpoint)
class DiallingEndpoint:
    """The client endpoint that ``text`` describes, each attempt of which fails after ``timeout_seconds``.

    Twisted's own 30 seconds would be spent waiting on a host that was cut off and has long been back.
    """

    def __init__(self, reactor: Any, text: str, timeout_seconds: float) -> None:
        self._reactor = reactor
        self._endpoint = clientFromString(reactor, text)  # type: ignore[no-untyped-call]
        self._timeout_seconds = timeout_seconds

    def connect(self, factory: Any) -> Deferred[Any]:
        """Connect once; fails with what the endpoint makes of being cancelled, or of the network."""
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting.addTimeout(self._timeout_seconds, self._reactor)
