"""What a command answers, before any protocol encodes it.

Results never cross the network: each node answers its own clients from its own apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@dataclass(frozen=True, slots=True)
class Simple:
    """A status word, such as ``+OK``."""

    text: str


@final
@dataclass(frozen=True, slots=True)
class Error:
    """A refusal; its first word (docs/protocol.md: ``ERR``, ``TRYAGAIN``, ``UNCERTAIN`` ...) tells what to conclude."""

    text: str


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes outside the protocol, sent as they are: what telnet asks for itself."""

    data: bytes


OK = Simple("OK")

Result = bytes | int | Simple | Error | None
"""What an entry of the log answers; None is nil."""

Nested = Result | Raw | list["Nested"] | dict[bytes, "Nested"]
"""What a node answers without the log: a result, or lists and dicts of results."""


@final
@dataclass(frozen=True, slots=True)
class Local:
    """A reply that needed no log, in its place among the replies of its connection.

    ``protocol`` switches the connection to RESP 2 or 3, this reply included; ``close`` ends it afterwards.
    """

    reply: Nested
    protocol: int = 0
    close: bool = False
