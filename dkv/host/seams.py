"""The seams between a node and its surroundings: what the host is handed, and what tests and the simulator replace.

Clocks, network and clients are here. The store is the fourth seam (``dkv.storage.store``), randomness the fifth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from dkv.actor import Address


class Call(Protocol):
    """A call that the clock will make."""

    def cancel(self) -> None:
        """Do not make it."""

    def active(self) -> bool:
        """Whether it is still to be made."""


class Clock(Protocol):
    """Monotonic time: Twisted's reactor and ``task.Clock`` fit."""

    def seconds(self) -> float:
        """Now, in seconds."""

    def callLater(self, delay: float, call: Callable[..., Any], /, *args: Any) -> Call:  # noqa: N802 - Twisted's name
        """Call after ``delay`` seconds."""


WallClock = Callable[[], int]
"""The time of day as the node's machine has it, in milliseconds since 1970. It may be wrong by hours, and jump."""


class Source(Protocol):
    """Something that reads from peers or clients and can stop for a while."""

    def pause_reading(self) -> None:
        """Take in nothing more for now."""

    def resume_reading(self) -> None:
        """Go on reading."""


class ClientPort(Source, Protocol):
    """Where clients' requests come from; it gathers those that arrive together."""

    def collect(self) -> None:
        """Deliver what was gathered since it woke the host, if anything."""


class Network(Source, Protocol):
    """The way to other nodes; what it is given may be lost."""

    def send(self, to: Address, sender: Address, message: Any) -> None:
        """Send if connected, at the next ``flush`` at the latest."""

    def flush(self) -> None:
        """Write out all that was sent."""
