"""Doors: a port that is bound before what stands behind it exists serves nobody, and then everybody."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, RaisingMemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.door import Door


class Counted(Factory):
    """Counts its starts and stops, as factories do that open something at the first port."""

    protocol = Protocol
    started = stopped = 0

    def startFactory(self) -> None:
        self.started += 1

    def stopFactory(self) -> None:
        self.stopped += 1


class DoorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.door = Door(self.reactor, "tcp:5001")

    def accept(self) -> Any:
        """The protocol that Twisted gets for a connection that it accepts. For None it closes the connection."""
        factory: Any = self.reactor.tcpServers[0][1]
        return factory.buildProtocol(None)

    def test_nobody_is_served_before_it_is_open(self) -> None:
        """A client answered by a node that is half built is answered from nothing."""
        self.successResultOf(self.door.bind())
        self.assertIsNone(self.accept())
        behind = Counted()
        self.door.open(behind)
        self.assertIs(self.accept().factory, behind)

    def test_the_factory_behind_is_started_and_stopped(self) -> None:
        """A web site that is not started does not know the time; one that is not stopped keeps the process."""
        self.successResultOf(self.door.bind())
        behind = Counted()
        self.door.open(behind)
        self.assertEqual((behind.started, behind.stopped), (1, 0))
        for _ in range(2):
            self.successResultOf(self.door.close())
        self.assertEqual((behind.started, behind.stopped), (1, 1))

    def test_a_port_that_is_taken(self) -> None:
        """The service needs the failure to say which port it was; a door that was never bound can be closed."""
        door = Door(RaisingMemoryReactor(listenException=CannotListenError("", 5001, OSError("in use"))), "tcp:5001")
        self.failureResultOf(door.bind(), CannotListenError)
        self.successResultOf(door.close())
