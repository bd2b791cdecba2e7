"""What stands between a port and TLS: whoever builds a node hands in a ``Security``, and nothing here knows OpenSSL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ITCPTransport

CLIENTS = "client"
PEERS = "peer"
ADMIN = "admin"
"""The kinds of ports, by which it is decided who has to show a certificate."""

HANDSHAKES_MAX = 512
"""How many handshakes may be under way at one port. Beyond it the oldest ends: whoever means it is done in a moment."""

HANDSHAKES_SHARE = 16
"""And no more than this part of the open files that a process may have."""


def handshakes_allowed(descriptors: int) -> int:
    """How many handshakes may be under way at one port of a process that may have so many open files."""
    return max(1, min(HANDSHAKES_MAX, descriptors // HANDSHAKES_SHARE))


@dataclass(frozen=True, slots=True)
class Shown:
    """Whom the certificate names that the other end of a connection has shown. All of it was verified."""

    node: tuple[str, int] | None = None
    """The cluster and the number of a node."""
    users: tuple[str, ...] = ()
    """The names by which users are found."""
    subject: str = ""
    """For people."""


class Secured:
    """What a transport with TLS is beside what it is in Twisted."""

    shown: Shown | None = None
    """Whom the certificate of the other end names; None if it has shown none."""


class SecuringFailed(ConnectionLost):
    """A connection has ended since the two ends did not agree on TLS, or one did not like the other's certificate. The
    text says why, in one line."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else "TLS failed"


class Security(Protocol):
    """Puts connections behind TLS. A protocol is made and connected when the handshake is done, and not before."""

    def listening(self, factory: Any, port: str) -> Any:
        """The factory to listen with in place of ``factory``, on a port of the kind ``port``."""

    def dialling(self, endpoint: Any) -> Any:
        """The client endpoint to dial a peer with in place of ``endpoint``. Its attempts fail with
        ``SecuringFailed`` if the two ends do not agree."""


def is_secured(transport: Any) -> bool:
    """Whether a connection has TLS."""
    return isinstance(transport, Secured)


def shown_by(transport: Any) -> Shown | None:
    """Whom the certificate names that the other end has shown; None without TLS, or without a certificate."""
    return transport.shown if isinstance(transport, Secured) else None


def can_close_one_way(transport: Any) -> bool:
    """Whether this end can say that it sends no more, and go on reading."""
    return is_secured(transport) or bool(ITCPTransport.providedBy(transport))


def close_one_way(transport: Any) -> None:
    """Say that this end sends no more. What the other end sends is read, until that closes, too."""
    if is_secured(transport):
        transport.loseConnection()  # which is a word of TLS for the other end, and waits for its answer
    else:
        transport.loseWriteConnection()


def close(transport: Any) -> None:
    """Close when what was written is sent. Nobody waits for the other end: many a client looks at a connection only
    when it needs it next."""
    transport.loseConnection()
    if is_secured(transport):
        transport.transport.loseConnection()
