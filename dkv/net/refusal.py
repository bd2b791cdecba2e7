"""The answer to a client that is not let in."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.python.failure import Failure

from dkv.net.securing import close
from dkv.replies import Error
from dkv.wire.reply_encoder import ReplyEncoder

REFUSED_BYTES = 4096
"""How much of what a refused client says is read, and ignored."""


class Refusal(Protocol):
    """A connection that gets one error and is closed."""

    transport: Any

    def __init__(self, error: Error) -> None:
        self._error = error

    def connectionMade(self) -> None:
        """A client too many is there: refuse it; over plain TCP in this very moment.

        In a storm the reactor accepts hundreds of connections before it closes the first, and their descriptors would
        be missing for LevelDB. What the client has said already, mostly a HELLO, is read first: closing with something
        unread resets the connection, and the error would be lost.
        """
        data = ReplyEncoder().encode([self._error])
        if not isinstance(self.transport, Server):
            self.transport.write(data)
            close(self.transport)
            return
        socket = self.transport.getHandle()
        try:
            socket.send(data)
            socket.recv(REFUSED_BYTES)
        except OSError:
            pass  # The client has said nothing yet, or is gone.
        self.transport.connectionLost(Failure(ConnectionDone()))  # type: ignore[no-untyped-call]  # Twisted's
