"""How long requests may be: as the settings say, or much shorter for a client that has not said who it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from dkv.settings import KIB, Limits

UNNAMED_BYTES_MAX = 16 * KIB
UNNAMED_ARGUMENTS_MAX = 10


class RequestLimits(Protocol):
    """What a parser of requests looks at."""

    @property
    def request_bytes_max(self) -> int:
        """The longest request, in bytes on the wire."""

    @property
    def request_arguments_max(self) -> int:
        """How many words a request may have, with its name."""

    @property
    def inline_bytes_max(self) -> int:
        """The longest line of an inline request."""


@dataclass(frozen=True, slots=True)
class UnnamedLimits:
    """The limits of a client before it has authenticated."""

    request_bytes_max: int
    request_arguments_max: int
    inline_bytes_max: int


def limits_of_the_unnamed(limits: Limits) -> UnnamedLimits:
    """How long requests may be of a client that has not authenticated; ``limits`` are those of the others."""
    return UnnamedLimits(
        min(limits.request_bytes_max, UNNAMED_BYTES_MAX),
        min(limits.request_arguments_max, UNNAMED_ARGUMENTS_MAX),
        min(limits.inline_bytes_max, UNNAMED_BYTES_MAX),
    )


LimitName = Literal["request_bytes_max", "request_arguments_max", "inline_bytes_max"]


def limit_text(limits: RequestLimits, name: LimitName) -> str:
    """Says which limit a request was beyond, and who can do something about it."""
    value: int = getattr(limits, name)
    if isinstance(limits, UnnamedLimits):
        return f"before AUTH the limit is {value}"
    return f"limits.{name} is {value}"
