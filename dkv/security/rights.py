"""What a user may do: categories of commands, keys by pattern, and channels by pattern.

What is not allowed is forbidden. Patterns are those of KEYS, matched in time that is linear in the length of the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dkv.kv.glob import Glob

CATEGORIES = ("read", "write", "admin", "fault", "pubsub")
"""The categories that a user's rights name. Beside them, every user may use the commands of its connection."""

EVERY_KEY = b"*"


@dataclass(frozen=True, slots=True)
class Rights:
    """Which commands, keys and channels a user may use. ``databases`` has patterns in place of ``keys``, by number."""

    categories: frozenset[str]
    keys: tuple[bytes, ...]
    databases: tuple[tuple[int, tuple[bytes, ...]], ...]
    channels: tuple[bytes, ...]

    @staticmethod
    def of(
        categories: Iterable[str],
        keys: Iterable[bytes] = (),
        databases: Mapping[int, Iterable[bytes]] | None = None,
        channels: Iterable[bytes] = (),
    ) -> Rights:
        """Rights from lists."""
        in_order = sorted((databases or {}).items())
        return Rights(
            frozenset(categories),
            tuple(keys),
            tuple((number, tuple(patterns)) for number, patterns in in_order),
            tuple(channels),
        )

    def allows(self, category: str) -> bool:
        """Whether commands of this category are allowed."""
        return category in self.categories

    def allows_channel(self, channel: bytes) -> bool:
        """Whether messages of this channel may be sent and got."""
        return any(Glob(pattern).matches(channel) for pattern in self.channels)

    def allows_channel_pattern(self, pattern: bytes) -> bool:
        """Whether all channels of a pattern may be subscribed to: it is literally one of the user's, or all are."""
        return pattern in self.channels or EVERY_KEY in self.channels


ALL = Rights.of(CATEGORIES, keys=[EVERY_KEY], channels=[EVERY_KEY])
NONE = Rights.of([])
