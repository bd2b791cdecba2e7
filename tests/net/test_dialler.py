"""Dialling, and the words for what is wrong when a peer cannot be reached."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet import error
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.dialler import DiallingEndpoint
from dkv.net.lookups import Lookups


class EndpointTests(SynchronousTestCase):
    """``DiallingEndpoint``."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.reasons: list[str] = []

    def dial(self, text: str = "tcp:127.0.0.1:5101") -> Any:
        endpoint = DiallingEndpoint(self.reactor, text, 2.0, self.reasons.append)
        return endpoint.connect(Factory.forProtocol(Protocol))

    def test_connects(self) -> None:
        """It dials where the string says."""
        connecting = self.dial("tcp:host=127.0.0.1:port=5101")
        self.assertEqual(self.reactor.tcpClients[0][:2], ("127.0.0.1", 5101))
        self.assertNoResult(connecting)

    def test_gives_up(self) -> None:
        """A host that was cut off and is back is reached by the next attempt, not after this one's 30 seconds."""
        connecting = self.dial()
        self.reactor.advance(2.1)
        self.failureResultOf(connecting, error.TimeoutError)
        self.assertTrue(self.reactor.connectors[0].stoppedConnecting)
        self.assertEqual(self.reasons, ["no answer within 2 s"])

    def test_stopped(self) -> None:
        """A node that stops dialling has no complaint."""
        connecting = self.dial()
        connecting.cancel()
        self.failureResultOf(connecting, error.ConnectingCancelledError)
        self.assertEqual(self.reasons, [])

    def test_reasons(self) -> None:
        """An operator reads what to look at: the process, the firewall, the name."""
        for failure, reason in (
            (error.ConnectionRefusedError(errno.ECONNREFUSED, "x"), "connection refused"),
            (error.NoRouteError(errno.ENETUNREACH, "x"), "no route to its host"),
            (error.ConnectError(errno.EHOSTUNREACH, "x"), "no route to its host"),
            (error.TCPTimedOutError(errno.ETIMEDOUT, "x"), "TCP connection timed out: 110: x"),
            (error.DNSLookupError("no such host"), "DNS lookup failed: no such host"),
        ):
            connecting = self.dial()
            factory, connector = self.reactor.tcpClients.pop()[2], self.reactor.connectors.pop()
            factory.clientConnectionFailed(connector, Failure(failure))
            self.failureResultOf(connecting, type(failure))
            self.assertEqual(self.reasons.pop(), reason)

    def test_names(self) -> None:
        """Whether the name is unknown or nobody says, or it is found and its host is away."""
        threads: list[Any] = []
        says: list[Any] = [socket.gaierror(socket.EAI_NONAME, "Name or service not known")]

        def getaddrinfo(*_: Any) -> Any:
            if isinstance(says[0], Exception):
                raise says[0]
            return [(socket.AF_INET, 1, 6, "", ("10.0.0.2", 0))]

        self.reactor.callFromThread = lambda call, *arguments: call(*arguments)
        self.reactor.nameResolver = lookups = Lookups(self.reactor, getaddrinfo, threads.append)
        endpoint = DiallingEndpoint(self.reactor, "tls:db2:5101:trustRoots=/", 2.0, self.reasons.append)
        self.assertEqual(endpoint._host and endpoint._host.name, "db2")
        connecting = self.dial("tcp:host=db2:port=5101")
        self.assertEqual(self.reactor.tcpClients[0][:2], ("db2", 5101), "as a real one, it asks the reactor's resolver")

        class Nobody:
            """A receiver that ignores the answer."""

            resolutionBegan = addressResolved = staticmethod(lambda _: None)
            resolutionComplete = staticmethod(lambda: None)

        lookups.resolveHostName(Nobody, "db2")
        self.reactor.advance(2.1)
        self.failureResultOf(connecting, error.TimeoutError)
        self.assertEqual(self.reasons.pop(), "the look-up of the name db2 is not answered")
        threads.pop()()
        connecting = self.dial("tcp:host=db2:port=5101")
        factory, connector = self.reactor.tcpClients.pop()[2], self.reactor.connectors.pop()
        factory.clientConnectionFailed(connector, Failure(error.DNSLookupError("db2")))
        self.failureResultOf(connecting, error.DNSLookupError)
        self.assertEqual(self.reasons.pop(), "the name db2 is not found: Name or service not known")
        says[0] = None
        lookups.resolveHostName(Nobody, "db2")
        threads.pop()()
        connecting = self.dial("tcp:host=db2:port=5101")
        self.reactor.advance(2.1)
        self.failureResultOf(connecting, error.TimeoutError)
        self.assertEqual(self.reasons.pop(), "no answer within 2 s")
