"""Sending at once, without waiting for the reactor to find the socket writable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.tcp import Connection


def sender_of(transport: Any) -> Callable[[bytes], None]:
    """What sends bytes through ``transport``, in order; over plain TCP at once, as much of it as the socket takes.

    ``transport.write`` asks the kernel to tell when the socket is writable, which it is; is told so at the reactor's
    next turn; sends; and asks the kernel to tell no more: three system calls and a turn of the reactor where one call
    does. An echo server answered 78,000 requests/s that way, and 107,000 so (64 clients, one request at a time,
    redis-benchmark at its limit).
    """
    write: Callable[[bytes], None] = transport.write
    if not isinstance(transport, Connection) or transport.TLS:
        return write
    send = transport.getHandle().send

    def send_now(data: bytes) -> None:
        if not (
            transport.dataBuffer
            or transport._tempDataBuffer  # what is behind dataBuffer; it has no public name
            or transport.disconnecting
            or transport.disconnected
            or transport._aborting  # to be closed a moment later
        ):
            try:
                sent = send(data)
            except OSError:  # the socket takes nothing now, or is gone: the reactor will find out which
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        write(data)

    return send_now
