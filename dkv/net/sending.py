"""How a connection sends: a function of its transport, which whoever builds the node may replace by a faster one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Send = Callable[[bytes], None]
"""Sends bytes behind all that was sent before; never waits."""

SenderOf = Callable[[Any], Send]
"""Makes the ``Send`` of a transport that has just been connected."""


def by_write(transport: Any) -> Send:
    """Sending as any transport of Twisted does it."""
    write: Send = transport.write
    return write
