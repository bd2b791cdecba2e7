"""Ports that are bound before what stands behind them exists: a node opens its directory only once all are its own."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.protocol import Factory

from dkv.net.listening import listening_endpoint


class Door(Factory):
    """The port that the endpoint string ``listen`` names, closed until ``open`` names who stands behind it.

    Twisted accepts nothing before the reactor is in control again, and until then whoever connects waits in the
    kernel's queue. So nobody is turned away if the door is opened in the turn in which it was bound; later, as with
    an endpoint that takes its time to listen, those who come too early are.
    """

    noisy = False

    def __init__(self, reactor: Any, listen: str) -> None:
        self._reactor = reactor
        self._listen = listen
        self._behind: Any = None
        self.port: Any = None
        """An ``IListeningPort``, once there is one."""

    def bind(self) -> Deferred[None]:
        """Listen; fails with what the endpoint makes of an address that is taken or not ours."""

        def keep(port: Any) -> None:
            self.port = port

        listening: Deferred[Any] = listening_endpoint(self._reactor, self._listen).listen(self)
        return listening.addCallback(keep)

    def open(self, factory: Any) -> None:
        """From now on ``factory``, a protocol factory, serves whoever connects."""
        self._behind = factory
        factory.doStart()

    def buildProtocol(self, addr: Any) -> Any:
        """What the factory behind the door makes; None, which closes the connection, as long as it is closed."""
        return None if self._behind is None else self._behind.buildProtocol(addr)

    def close(self) -> Deferred[Any]:
        """Listen no more; connections stay. Nothing happens if it does not listen."""
        if self.port is None:
            return succeed(None)
        port, self.port = self.port, None
        if self._behind is not None:
            self._behind.doStop()
        return maybeDeferred(port.stopListening)
