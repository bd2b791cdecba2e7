"""Dialling a peer again and again, and knowing why it cannot be reached."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, Protocol

from twisted.application.internet import ClientService
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from dkv.net.lookups import Lookups, host_name

RECONNECT_SECONDS_MIN = 0.05
"""The wait after the first failed attempt; it doubles with each."""

REASONS_MAX = 64
"""Reasons remembered so as not to log them again."""

LOST = "the connection was lost"


class Log(Protocol):
    """What dialling needs of a structlog logger."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Something for the operator to look at."""


class Reach:
    """Whether peer ``node`` is reached, by a connection dialled to ``address``; since when, and why not.

    ``clock`` shows monotonic seconds. Each reason is logged once until the peer is reached.
    """

    def __init__(self, node: int, address: str, clock: Any, log: Log) -> None:
        self._node = node
        self._address = address
        self._clock = clock
        self._log = log
        self._logged: set[str] = set()
        self._reached_at: float | None = None
        self._problem = ""
        self._problem_at = 0.0

    def reached(self) -> None:
        """The peer has accepted this node's Hello."""
        self._reached_at = self._clock.seconds()
        self._problem = ""
        self._logged.clear()

    def failed(self, reason: str) -> None:
        """An attempt to connect has failed."""
        self.lost(reason)
        if reason not in self._logged:
            if len(self._logged) >= REASONS_MAX:
                self._logged.clear()
            self._logged.add(reason)
            self._log.warning("peer_unreachable", peer=self._node, address=self._address, reason=reason)

    def lost(self, reason: str) -> None:
        """A connection has ended or was refused, which is in the log already."""
        self._reached_at = None
        if reason != self._problem and not (reason == LOST and self._problem):  # which would say less
            self._problem, self._problem_at = reason, self._clock.seconds()

    def status(self) -> dict[str, Any]:
        """For people and JSON: for how long it has been reached, or what the trouble is and for how long."""
        now, since = self._clock.seconds(), self._reached_at
        return {
            "connected_seconds": None if since is None else round(now - since, 1),
            "problem": self._problem or None,
            "problem_seconds": round(now - self._problem_at, 1) if self._problem else None,
        }


class Dialler(ClientService):
    """Dials what ``text`` describes until it is connected, and whenever it is not.

    ``failed`` is told why an attempt failed. What a ClientService logs is each attempt: a member that is down for a
    day would fill the log.
    """

    _observer: Any = LogPublisher()  # which has nobody to publish to
    _log = Logger(observer=_observer)

    def __init__(
        self,
        reactor: Any,
        text: str,
        factory: Any,
        timeout_seconds: float,
        wait_seconds_max: float,
        failed: Callable[[str], None],
    ) -> None:
        self.attempts = 0
        """Dialled in a row without reaching an accepted Hello: one that connects and is refused is no success."""

        def wait(_: int) -> float:
            self.attempts += 1
            return min(RECONNECT_SECONDS_MIN * 2.0 ** min(self.attempts - 1, 30), wait_seconds_max)

        endpoint: Any = DiallingEndpoint(reactor, text, timeout_seconds, failed)
        super().__init__(endpoint, factory, wait, clock=reactor)


@implementer(IStreamClientEndpoint)
class DiallingEndpoint:
    """The client endpoint that ``text`` describes, each attempt of which fails after ``timeout_seconds``.

    Twisted's own 30 seconds would be spent waiting on a host that was cut off and has long been back.
    """

    def __init__(self, reactor: Any, text: str, timeout_seconds: float, failed: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._endpoint = clientFromString(reactor, text)  # type: ignore[no-untyped-call]
        self._host = host_name(text, "host", ("tcp", "ssl", "tls"), 1)
        self._timeout_seconds = timeout_seconds
        self._failed = failed

    def connect(self, factory: Any) -> Deferred[Any]:
        """Connect once; fails with what the endpoint makes of the network, or with ``TimeoutError``."""
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        connecting.addTimeout(self._timeout_seconds, self._reactor, self._late)
        return connecting.addErrback(self._explain)

    def _late(self, _: Any, seconds: float) -> Failure:
        return Failure(error.TimeoutError(f"within {seconds:g} s"))  # type: ignore[no-untyped-call]  # Twisted's

    def _explain(self, failure: Failure) -> Failure:
        reason = self._reason(failure)
        if reason is not None:
            self._failed(reason)
        return failure

    def _reason(self, failure: Failure) -> str | None:
        """Why it failed, the same words for the same cause; None if this node has changed its mind."""
        why = failure.value
        if isinstance(why, error.TimeoutError):
            return self._trouble_of_name() or f"no answer within {self._timeout_seconds:g} s"
        if isinstance(why, error.DNSLookupError | error.UnknownHostError):
            return self._trouble_of_name() or failure.getErrorMessage().rstrip(".")
        if isinstance(why, error.ConnectingCancelledError | CancelledError):
            return None
        if isinstance(why, error.ConnectionRefusedError):
            return "connection refused"
        if getattr(why, "osError", None) in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            return "no route to its host"
        return failure.getErrorMessage().rstrip(".")

    def _trouble_of_name(self) -> str | None:
        lookups = getattr(self._reactor, "nameResolver", None)
        if self._host is None or not isinstance(lookups, Lookups):
            return None
        return lookups.trouble(self._host.name)
