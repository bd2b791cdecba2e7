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

ABSENT: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("HSET", "LPUSH", "SADD", "ZADD", "XADD", "PFADD", "GEOADD", "SETBIT", "..."),
        "Values are strings. Hashes, lists, sets, sorted sets, streams and what is built on them are not there.",
    ),
    (("EVAL", "EVALSHA", "SCRIPT", "FUNCTION"), "There are no scripts."),
    (("SUBSCRIBE", "PUBLISH", "PUBSUB", "MONITOR"), "There are no messages between clients."),
    (("DUMP", "RESTORE", "MIGRATE"), "The stored form of a value is that of dkv, not of Redis. Use `dkv backup`."),
    (("SWAPDB", "MOVE"), "Nobody who was asked needs them."),
    (("CLIENT TRACKING",), "A node does not remember what its clients have read."),
    (("AUTH", "ACL"), "There are no users and passwords."),
    (
        ("SAVE", "BGSAVE", "SHUTDOWN", "REPLICAOF", "CLUSTER", "DEBUG", "CONFIG SET"),
        "They are about how Redis runs. The `dkv` command and the config file run dkv.",
    ),
)
"""Commands of Redis that dkv refuses, and why."""
