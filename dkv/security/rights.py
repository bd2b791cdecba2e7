"""What a user may do: categories of commands, keys by pattern and channels by pattern.

What is not allowed is forbidden. Patterns are those of KEYS, matched in time that is linear in the length of a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from dkv.kv.glob import PATTERN_BYTES_MAX, Glob

CATEGORIES = ("read", "write", "admin", "fault", "pubsub")
"""The categories that a user is allowed by name."""

OWN = "connection"
"""The category of what every client may do that has said who it is."""

EVERY = b"*"
"""The pattern that everything matches."""

_PLAIN = frozenset(range(256)) - frozenset(b"*?[\\")

Matches = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Rights:
    """Which commands, keys and channels a user may use. ``databases`` has patterns in place of ``keys``, by number.

    ``is_unrestricted``: there is nothing that they do not allow.
    """

    categories: frozenset[str]
    keys: tuple[bytes, ...]
    databases: tuple[tuple[int, tuple[bytes, ...]], ...]
    channels: tuple[bytes, ...]
    is_unrestricted: bool = field(init=False, repr=False, compare=False)
    _matches_key: Matches = field(init=False, repr=False, compare=False)
    _matches_by_database: Mapping[int, Matches] = field(init=False, repr=False, compare=False)
    _matches_channel: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        everything = self.categories >= {*CATEGORIES, OWN} and EVERY in self.channels and self.allows_every_key()
        put = object.__setattr__  # once, as the class is frozen
        put(self, "is_unrestricted", everything)
        put(self, "_matches_key", _any_of(self.keys))
        put(self, "_matches_by_database", {number: _any_of(patterns) for number, patterns in self.databases})
        put(self, "_matches_channel", _any_of(self.channels))

    @staticmethod
    def of(
        categories: Iterable[str],
        keys: Iterable[bytes] = (),
        databases: Mapping[int, Iterable[bytes]] | None = None,
        channels: Iterable[bytes] = (),
    ) -> Rights:
        """The rights of a user who is allowed these categories, keys and channels."""
        in_order = sorted((databases or {}).items())
        return Rights(
            frozenset((*categories, OWN)),
            tuple(keys),
            tuple((number, tuple(patterns)) for number, patterns in in_order),
            tuple(channels),
        )

    @property
    def are_none(self) -> bool:
        """Whether nothing is allowed, beside a client's own affairs: for ``default``, one has to say who one is."""
        return self.categories <= {OWN}

    def key_patterns(self, db: int) -> tuple[bytes, ...]:
        """The patterns of the keys in a database."""
        return next((patterns for number, patterns in self.databases if number == db), self.keys)

    def allows(self, category: str) -> bool:
        """Whether commands of this category are allowed."""
        return category in self.categories

    def allows_key(self, db: int, key: bytes) -> bool:
        """Whether this key of the database may be used."""
        return self._matches_by_database.get(db, self._matches_key)(key)

    def allows_all_keys(self, db: int) -> bool:
        """Whether every key of the database may be used."""
        return EVERY in self.key_patterns(db)

    def allows_every_key(self) -> bool:
        """Whether every key of every database may be used."""
        return EVERY in self.keys and all(EVERY in patterns for _, patterns in self.databases)

    def allows_keys_matching(self, db: int, pattern: bytes) -> bool:
        """Whether every key of the database may be used that matches ``pattern``, as far as its beginning tells.

        A pattern of the user is the same one, or it is ``text*``, and all keys in question begin with that text.
        """
        own = self.key_patterns(db)
        if EVERY in own or pattern in own:
            return True
        if len(pattern) > PATTERN_BYTES_MAX:
            return False
        beginning = Glob(pattern).prefix
        return any(stem is not None and beginning.startswith(stem) for stem in map(_stem_of, own))

    def allows_channel(self, channel: bytes) -> bool:
        """Whether messages may be sent to this channel, and got from it."""
        return self._matches_channel(channel)

    def allows_channel_pattern(self, pattern: bytes) -> bool:
        """Whether all channels of a pattern may be listened to: it is one of the user's, literally, or all are."""
        return pattern in self.channels or EVERY in self.channels

    def may_know(self, db: int, key: bytes) -> bool:
        """Whether the user may be told what happens to this key."""
        return self.allows("read") and self.allows_key(db, key)


def _stem_of(pattern: bytes) -> bytes | None:
    """The text before the ``*`` of a pattern that is no more than these two."""
    stem = pattern[:-1]
    return stem if pattern.endswith(EVERY) and _PLAIN.issuperset(stem) else None


@lru_cache(maxsize=256)
def _any_of(patterns: tuple[bytes, ...]) -> Matches:
    """Whether a name matches one of the patterns. Those of the form ``text*`` are tried first, all at once."""
    if EVERY in patterns:
        return lambda name: True
    stems = tuple(stem for stem in map(_stem_of, patterns) if stem is not None)
    others = tuple(Glob(pattern).matches for pattern in patterns if _stem_of(pattern) is None)
    return lambda name: name.startswith(stems) or any(matches(name) for matches in others)


ALL = Rights.of(CATEGORIES, keys=[EVERY], channels=[EVERY])
"""Everything is allowed."""

NONE = Rights(frozenset(), (), (), ())
"""Nothing is allowed: the client has to say who it is."""
