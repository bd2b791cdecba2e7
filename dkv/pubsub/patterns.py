"""Patterns that are compared with many channels: found by what they begin with."""

from __future__ import annotations

from collections import Counter

from dkv.kv.glob import PATTERN_BYTES_MAX, Glob

WEIGHT_BYTES = 256
"""A name counts once more for each so many bytes that it has, or that its comparison takes in memory."""

STAR_BYTES = 2048
"""What each ``*`` behind the first takes in memory, roughly."""

ANYWHERE_WEIGHT = 9
"""A pattern that begins with a special byte counts so many times more: it is compared with every channel."""


def weight_of(is_pattern: bool, name: bytes) -> int:
    """For how many subscriptions one to this name counts: long names and intricate patterns cost more."""
    if not is_pattern:
        return 1 + len(name) // WEIGHT_BYTES
    taken = len(name) + STAR_BYTES * max(0, name.count(b"*") - 1)
    return 1 + taken // WEIGHT_BYTES + (ANYWHERE_WEIGHT if name[:1] in (b"*", b"?", b"[") else 0)


class Patterns:
    """A set of patterns of at most ``PATTERN_BYTES_MAX`` bytes each.

    A channel is compared only with patterns whose beginning, up to their first special byte, it has: of many patterns
    like ``user:17:*`` it meets few.
    """

    def __init__(self) -> None:
        self._with_beginning: dict[bytes, dict[bytes, Glob]] = {}
        self._lengths: Counter[int] = Counter()  # of these beginnings
        self.compared = 0
        """How often a channel was compared with a pattern so far."""

    def add(self, pattern: bytes) -> None:
        """Take in a pattern that is not in here."""
        assert len(pattern) <= PATTERN_BYTES_MAX
        glob = Glob(pattern)
        alike = self._with_beginning.get(glob.prefix)
        if alike is None:
            alike = self._with_beginning[glob.prefix] = {}
            self._lengths[len(glob.prefix)] += 1
        alike[pattern] = glob

    def remove(self, pattern: bytes) -> None:
        """Let go of a pattern that is in here."""
        beginning = Glob(pattern).prefix
        alike = self._with_beginning[beginning]
        del alike[pattern]
        if not alike:
            del self._with_beginning[beginning]
            self._lengths[len(beginning)] -= 1
            if not self._lengths[len(beginning)]:
                del self._lengths[len(beginning)]

    def matching(self, channel: bytes) -> list[bytes]:
        """The patterns that the channel matches."""
        found: list[bytes] = []
        if not channel:  # as in Redis, no other pattern matches it here, not even b"*"
            return [b""] if b"" in self._with_beginning.get(b"", {}) else found
        for length in self._lengths:
            alike = self._with_beginning.get(channel[:length])
            if alike is not None and length <= len(channel):  # a shorter channel would be met once for each length
                self.compared += len(alike)
                found += [pattern for pattern, glob in alike.items() if glob.matches(channel)]
        return found
