"""Options that every TCP connection of a node gets when it is made, and how addresses are written."""

from __future__ import annotations

from socket import IPPROTO_TCP, SO_KEEPALIVE, SO_OOBINLINE, SOL_SOCKET, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import ITCPTransport

from dkv.net.securing import is_secured

KEEPALIVE_IDLE_SECONDS = 60
KEEPALIVE_INTERVAL_SECONDS = 20
KEEPALIVE_PROBES = 3
"""A connection whose other end has gone without a word ends two minutes after it was last heard. The system's default
is two hours, which is also longer than many firewalls remember a connection on which nothing passes."""

_OPTIONS = (
    (SOL_SOCKET, SO_KEEPALIVE, 1),
    (IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS),
    (IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS),
    (IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES),
    (SOL_SOCKET, SO_OOBINLINE, 1),  # telnet sends half of a command as urgent data, which would be missing
)


def prepare_socket(transport: Any) -> None:
    """Send without delay, and notice when the other end is gone. A transport that is not TCP stays as it is."""
    if is_secured(transport):
        transport = transport.transport  # what is below TLS
    if not ITCPTransport.providedBy(transport):
        return
    transport.setTcpNoDelay(True)
    socket = getattr(transport, "socket", None)  # Twisted's own have it
    if socket is not None:
        for level, option, value in _OPTIONS:
            socket.setsockopt(level, option, value)


def address_text(address: Any) -> str:
    """An address as people write it."""
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    return str(address)
