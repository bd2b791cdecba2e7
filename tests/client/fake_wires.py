"""Connections of a Twisted client that lead to a test: a clock, no port, no thread."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, ITCPTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from dkv.client.answers import AnswerParser, Incomplete
from dkv.client.blocking import Endpoint
from dkv.client.line_protocol import LineProtocol
from dkv.client.twisted import Client

LIST = [b"DKV.MEMBER", b"LIST"]


class Transport:
    """The client's side of a connection."""

    def __init__(self) -> None:
        self.written = b""
        self.aborted = False
        directlyProvides(self, ITCPTransport)

    def write(self, data: bytes) -> None:
        """The client sends this."""
        assert not self.aborted, "written to a connection that was given up"
        self.written += data

    def abortConnection(self) -> None:
        """The client hangs up."""
        self.aborted = True

    def setTcpNoDelay(self, _: bool) -> None:
        """It is not to wait."""


class Wire:
    """The node's side of a connection to ``endpoint``. A request for the members is answered with ``members``."""

    def __init__(self, endpoint: Endpoint, members: bytes) -> None:
        self.endpoint = endpoint
        self.transport = Transport()
        self.protocol = LineProtocol()
        self.protocol.makeConnection(cast(ITCPTransport, self.transport))
        self._members = members
        self._parser = AnswerParser()

    def received(self) -> list[list[bytes]]:
        """The requests that have come since it was asked last."""
        self._parser.feed(self.transport.written)
        self.transport.written = b""
        found = []
        while not isinstance(request := self._parser.take(), Incomplete):
            assert isinstance(request, list)
            words = [word for word in request if isinstance(word, bytes)]
            if words == LIST:
                self.say(b"$%d\r\n%b\r\n" % (len(self._members), self._members))
            else:
                found.append(words)
        return found

    def words(self) -> list[bytes]:
        """The same without tokens, each as one text."""
        return [b" ".join(words[3:] if words[0] == b"IDMP" else words) for words in self.received()]

    def say(self, data: bytes) -> None:
        """The node sends this."""
        if not self.transport.aborted:
            self.protocol.dataReceived(data)

    def end(self) -> None:
        """The connection ends."""
        self.protocol.connectionLost(Failure(ConnectionDone()))


class Wires:
    """All connections that a client has asked for, in their order."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.asked: list[Endpoint] = []
        self.members = b"{}"
        self._dialled: list[tuple[Endpoint, Deferred[IProtocol]]] = []

    def dial(self, endpoint: Endpoint) -> Deferred[IProtocol]:
        """What the client is given in place of the reactor's connections."""
        self.asked.append(endpoint)
        dialled: Deferred[IProtocol] = Deferred()
        self._dialled.append((endpoint, dialled))
        return dialled

    def accept(self) -> Wire:
        """The connection that was asked for is there."""
        self.clock.advance(0.0)
        endpoint, dialled = self._dialled.pop(0)
        wire = Wire(endpoint, self.members)
        dialled.callback(cast(IProtocol, wire.protocol))
        return wire

    def refuse(self) -> None:
        """Nobody listens where it was asked for."""
        self.clock.advance(0.0)
        _, dialled = self._dialled.pop(0)
        dialled.errback(Failure(ConnectionRefusedError()))


class ClientTests(SynchronousTestCase):
    """Tests of one client."""

    def setUp(self) -> None:
        """A client that has not connected yet."""
        self.wires = Wires()
        self.clock = self.wires.clock
        self.client = self.make()

    def make(self, **options: Any) -> Client:
        """A client of two nodes, a and b."""
        return Client("a:1,b:1", reactor=self.clock, dial=self.wires.dial, **options)

    def tearDown(self) -> None:
        """Nothing may be left that the program's reactor would still have to call."""
        self.client.close().addErrback(lambda failure: failure)
        self.assertEqual(self.clock.getDelayedCalls(), [])
