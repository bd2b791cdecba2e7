"""Twisted's endpoints as this project uses them, for listening and for dialling."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

BACKLOG = 1024
"""Connections that may wait to be accepted: a thousand clients that connect at once are no reason to drop one."""


_UNIX = re.compile(r"(haproxy:)?unix:")
_UNIX_MODE = "mode=600"
"""Twisted's own default lets every user of the machine connect."""


def listening_endpoint(reactor: Any, text: str) -> Any:
    """The server endpoint that ``text`` describes, with ``BACKLOG`` unless it sets its own or its kind has none.

    A socket in the file system is its owner's alone unless ``text`` gives it another mode.
    """
    extras = [_UNIX_MODE] if _UNIX.match(text) and not re.search(r"(?<!\\):mode=", text) else []
    backlog = [f"backlog={BACKLOG}"] if "backlog=" not in text else []
    for more in ([*extras, *backlog], extras, backlog):
        try:
            return serverFromString(reactor, ":".join((text, *more)))  # type: ignore[no-untyped-call]
        except TypeError:
            pass  # its kind takes no such words, or was given them by position
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
