"""Ports that are bound before what serves them exists: a node opens its directory only once it has all its ports."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.protocol import Factory

from dkv.net.listening import listening_endpoint


class Door(Factory):
    """The port that the endpoint string ``listen`` names. It is closed until ``open`` says what serves it.

    Twisted accepts nothing before the reactor is in control again; until then, a client that connects waits in the
    kernel's queue. So nobody is turned away if the door is opened in the same turn in which it was bound. An endpoint
    may also take its time to listen; then those that come before the door is open are turned away.
    """

    noisy = False

    def __init__(self, reactor: Any, listen: str) -> None:
        self._reactor = reactor
        self._listen = listen
        self._behind: Any = None
        self.port: Any = None
        """An ``IListeningPort``, once there is one."""
        self._closed: Deferred[Any] = succeed(None)

    def bind(self) -> Deferred[None]:
        """Listen. Fails with what the endpoint makes of an address that is taken, or that is not this machine's."""

        def keep(port: Any) -> None:
            self.port = port

        listening: Deferred[Any] = listening_endpoint(self._reactor, self._listen).listen(self)
        return listening.addCallback(keep)

    def open(self, factory: Any) -> None:
        """From now on ``factory``, a protocol factory, serves all that connect."""
        self._behind = factory
        factory.doStart()

    def buildProtocol(self, addr: Any) -> Any:
        """Somebody connects: what the factory makes; None, which closes the connection, while the door is closed."""
        return None if self._behind is None else self._behind.buildProtocol(addr)

    def close(self) -> Deferred[Any]:
        """Listen no more. Connections stay. Fires when the port is free, at once if it does not listen."""
        port, self.port = self.port, None
        if port is not None:
            if self._behind is not None:
                self._behind.doStop()
            self._closed = maybeDeferred(port.stopListening)
        free: Deferred[Any] = Deferred()

        def done(result: Any) -> Any:
            free.callback(None)
            return result

        self._closed.addBoth(done)
        return free
