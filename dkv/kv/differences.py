"""Where dkv answers otherwise than Redis, and why: docs/redis.md prints the list, and the oracle allows nothing else.

Texts of errors that only name a limit or a setting of dkv, and commands that Redis does not have, are no differences.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """Replies of one kind that may differ.

    ``commands`` are the names that it concerns, in lower case; none means any. ``redis`` and ``dkv`` are regular
    expressions for the two whole replies as they are sent. ``unordered``: both are the same but for the order of what
    is in them; then the expressions are not looked at. ``example`` is a request, or several, that show it.
    """

    commands: tuple[str, ...]
    what: str
    reason: str
    example: tuple[str, ...]
    redis: bytes = b""
    dkv: bytes = b""
    unordered: bool = False


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        ("hello",),
        "The reply names dkv and the version of Redis whose words it has.",
        "A client should know which server it speaks to.",
        ("HELLO 3",),
        rb"[*%].*",
        rb"[*%].*\$3\r\ndkv\r\n.*",
    ),
)
