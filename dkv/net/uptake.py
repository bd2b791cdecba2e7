"""How far the bytes have come that were written to a connection. Twisted tells only when there are none left."""

from __future__ import annotations

import struct
from fcntl import ioctl
from socket import IPPROTO_TCP, TCP_INFO
from termios import TIOCOUTQ
from typing import Any

from twisted.internet.interfaces import ITCPTransport

from dkv.net.securing import is_secured

_ACKNOWLEDGED = struct.Struct("=120xQ")
"""Where Linux has ``tcpi_bytes_acked`` in its ``tcp_info``."""

_WAITING = struct.Struct("=i")


def acknowledged_bytes(transport: Any) -> int:
    """How many bytes the other end has confirmed so far. It grows while a client reads, and stands still soon after it
    stops. Always 0 if that cannot be known: the transport is not TCP, or its connection has ended."""
    socket = _socket_of(transport)
    try:
        return 0 if socket is None else _acknowledged(socket)
    except OSError:
        return 0


def taken_bytes(transport: Any) -> int:
    """How many bytes the kernel has taken so far: they need no memory of the process any more. 0 as above."""
    socket = _socket_of(transport)
    try:
        return 0 if socket is None else _acknowledged(socket) + _waiting(socket)
    except OSError:
        return 0


def _socket_of(transport: Any) -> Any:
    if is_secured(transport):
        transport = transport.transport  # what is below TLS
    return getattr(transport, "socket", None) if ITCPTransport.providedBy(transport) else None  # Twisted's own have it


def _acknowledged(socket: Any) -> int:
    told = socket.getsockopt(IPPROTO_TCP, TCP_INFO, _ACKNOWLEDGED.size)
    count: int = _ACKNOWLEDGED.unpack(told)[0] if len(told) == _ACKNOWLEDGED.size else 0
    return count


def _waiting(socket: Any) -> int:
    count: int = _WAITING.unpack(ioctl(socket, TIOCOUTQ, bytes(_WAITING.size)))[0]
    return count
