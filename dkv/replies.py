"""What a command answers, before any protocol encodes it.

A result is None (nil), an int, bytes, a list or dict of results, or one of the classes here. Results never
cross the network: each node answers its own clients from its own apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Simple:
    """A status word, such as ``+OK``."""

    text: str


@dataclass(frozen=True, slots=True)
class Error:
    """A refusal; its first word (docs/protocol.md: ``ERR``, ``TRYAGAIN``, ``UNCERTAIN`` ...) tells what to conclude."""

    text: str


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes outside the protocol, sent as they are: what telnet asks for itself."""

    data: bytes


OK = Simple("OK")


@dataclass(frozen=True, slots=True)
class Local:
    """A reply that needed no log, in its place among the replies of its connection.

    ``protocol`` switches the connection to RESP 2 or 3, this reply included; ``close`` ends it afterwards.
    """

    reply: Any
    protocol: int = 0
    close: bool = False
