"""Telling systemd how the node is doing: ``sd_notify``, which Twisted lacks."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> bool:
    """Send ``state``, such as ``READY=1``, to whoever started this process and asked to be told; whether it was sent.

    Not sent is no failure of the node: where nobody asked (``$NOTIFY_SOCKET``) there is nobody to tell, and where the
    socket is gone, systemd says itself that it has heard nothing.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path  # "@" stands for the abstract namespace
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.sendto(state.encode(), address)
        except OSError:
            return False
    return True
