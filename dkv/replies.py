"""The results of commands, before a protocol encodes them.

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
    """A refusal. Its first word (docs/protocol.md: ``ERR``, ``TRYAGAIN``, ``UNCERTAIN`` ...) says what to conclude."""

    text: str


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes outside the protocol, sent unchanged: the answer to a command of telnet itself."""

    data: bytes


OK = Simple("OK")

Result = bytes | int | Simple | Error | None
"""The result of an entry of the log; None is nil."""

Nested = Result | Raw | list["Nested"] | dict[bytes, "Nested"]
"""The result of a request that needs no log: a result, or lists and dicts of results."""


@final
@dataclass(frozen=True, slots=True)
class Local:
    """A reply that needs no log; it keeps its place among the replies of its connection.

    ``protocol`` switches the connection to RESP 2 or 3, from this reply on; ``close`` ends the connection after it.
    """

    reply: Nested
    protocol: int = 0
    close: bool = False
