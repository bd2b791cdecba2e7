"""Dialling a peer again and again, at an address that may change, and saying in words why an attempt failed."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from twisted.application.internet import ClientService
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from dkv.net.lookups import Lookups, host_name
from dkv.net.securing import SecuringFailed

RECONNECT_SECONDS_MIN = 0.05
"""The wait after the first failed attempt. It doubles with each further one."""


def _plain(endpoint: Any) -> Any:
    """Without TLS."""
    return endpoint


class Dialler(ClientService):
    """Dials what ``text`` describes until it is connected, and again whenever it is not.

    ``securing`` makes of an endpoint the one to dial with. ``failed`` is told why an attempt failed. A ClientService
    logs each attempt itself, and a member that is down for a day would fill the log; so its log goes nowhere.
    """

    _observer: Any = LogPublisher()  # a publisher without subscribers
    _log = Logger(observer=_observer)

    def __init__(
        self,
        reactor: Any,
        text: str,
        factory: Any,
        timeout_seconds: float,
        wait_seconds_max: float,
        failed: Callable[[str], None],
        securing: Callable[[Any], Any] = _plain,
    ) -> None:
        self.attempts = 0
        """Attempts in a row that led to no accepted Hello. To connect and be refused is no success."""

        def wait(_: int) -> float:
            self.attempts += 1
            return min(RECONNECT_SECONDS_MIN * 2.0 ** min(self.attempts - 1, 30), wait_seconds_max)

        self.endpoint: Any = DiallingEndpoint(reactor, text, timeout_seconds, failed, securing)
        """Where the next attempt goes."""
        super().__init__(self.endpoint, factory, wait, clock=reactor)


@implementer(IStreamClientEndpoint)
class DiallingEndpoint:
    """The client endpoint that ``text`` describes; it may be set anew. Each attempt fails after ``timeout_seconds``.

    With Twisted's own 30 seconds a node would still wait for a host that was cut off and has long been back.
    """

    def __init__(
        self,
        reactor: Any,
        text: str,
        timeout_seconds: float,
        failed: Callable[[str], None],
        securing: Callable[[Any], Any] = _plain,
    ) -> None:
        self._reactor = reactor
        self._timeout_seconds = timeout_seconds
        self._failed = failed
        self._securing = securing
        self.readdress(text)

    def readdress(self, text: str) -> None:
        """Connect to what ``text`` describes from now on. If that is nothing, attempts fail and say so."""
        self.text = text
        self._host = host_name(text, "host", ("tcp", "ssl", "tls"), 1)
        try:
            self._endpoint: Any = self._securing(clientFromString(self._reactor, text))  # type: ignore[no-untyped-call]
        except Exception as wrong:  # A parser of endpoints may be a plugin, and raise anything.
            self._endpoint = None
            self._wrong = f"{text!r} is no address: {wrong}" if text else "its address is not known"

    def connect(self, factory: Any) -> Deferred[Any]:
        """Connect once; fails with what the endpoint makes of the network, or with ``TimeoutError``."""
        if self._endpoint is None:
            self._failed(self._wrong)
            return fail(error.ConnectError(string=self._wrong))  # type: ignore[no-untyped-call]  # Twisted's
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
        """Why the attempt failed, in the same words for the same cause; None if this node has changed its mind."""
        why = failure.value
        if isinstance(why, error.TimeoutError):
            return self._trouble_of_name() or f"no answer within {self._timeout_seconds:g} s"
        if isinstance(why, error.DNSLookupError | error.UnknownHostError):
            return self._trouble_of_name() or failure.getErrorMessage().rstrip(".")
        if isinstance(why, error.ConnectingCancelledError | CancelledError):
            return None
        if isinstance(why, SecuringFailed):
            return f"no TLS with the node at its address: {why}"
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
