"""Telling systemd how the node is doing: ``sd_notify``, which Twisted lacks."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> bool:
    """Send ``state``, such as ``READY=1``, to the supervisor that started this process; whether it was sent.

    It is no failure of the node if it was not sent. Without ``$NOTIFY_SOCKET`` there is no supervisor that wants to be
    told. If the socket is gone, systemd itself says that it has heard nothing.
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
