"""Whether two replies are the same, or differ as the list of differences allows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from dkv.kv.differences import DIFFERENCES, Difference
from tests.oracle.reply_tree import Reply


class Comparison:
    """Compares replies with ``allowed`` differences; ``used`` counts how often each was met.

    ``parted`` says that the servers had other keys after one of these. ``server`` is the name of the other one. Unless
    it is ``exact``, only the values are compared, and all errors are the same.
    """

    def __init__(self, allowed: Sequence[Difference] = DIFFERENCES, server: str = "", exact: bool = True) -> None:
        self._allowed = [
            (each, re.compile(each.redis, re.DOTALL), re.compile(each.dkv, re.DOTALL))
            for each in allowed
            if not exact or each.only in ("", server)
        ]
        self._exact = exact
        self.used: Counter[Difference] = Counter()
        self.parted = False

    def same(self, words: Sequence[bytes], theirs: Reply, ours: Reply, queued: Sequence[Sequence[bytes]] = ()) -> bool:
        """Whether both replies agree: the reference's and that of dkv. An EXEC answers what was ``queued``."""
        if theirs.data == ours.data or (not self._exact and _value(theirs) == _value(ours)):
            return True
        name = words[0].lower()
        if name == b"exec" and len(theirs.items) == len(ours.items) == len(queued) > 0:
            pairs = zip(queued, theirs.items, ours.items, strict=True)
            return theirs.kind == ours.kind and all(self.parted or self.same(*each) for each in pairs)
        return any(self._allows(each, redis, dkv, theirs, ours) for each, redis, dkv in self._of(words))

    def _of(self, words: Sequence[bytes]) -> Iterator[tuple[Difference, re.Pattern[bytes], re.Pattern[bytes]]]:
        """The differences that concern a request."""
        named = b"|".join(words[:2]).lower().decode("utf-8", "replace")
        names = {named, named.partition("|")[0]}
        return (each for each in self._allowed if not each[0].commands or names & set(each[0].commands))

    def _allows(
        self, difference: Difference, redis: re.Pattern[bytes], dkv: re.Pattern[bytes], theirs: Reply, ours: Reply
    ) -> bool:
        if difference.unordered:
            allowed = _unordered(theirs) == _unordered(ours)
        elif self._exact:
            allowed = bool(redis.fullmatch(theirs.data) and dkv.fullmatch(ours.data))
        else:
            allowed = bool(dkv.fullmatch(ours.data))
        self.used[difference] += allowed
        self.parted = self.parted or (allowed and difference.keys_differ)
        return allowed


def _unordered(reply: Reply) -> object:
    """The reply, whatever the order of what is in it."""
    return (reply.kind, sorted(map(repr, map(_unordered, reply.items)))) if reply.items else reply.data


def _value(reply: Reply) -> object:
    """What a reply says, however it is written."""
    match reply.kind:
        case b"-" | b"!":
            return ValueError
        case b"*" | b"%" | b"~" | b">" if reply.data != b"*-1\r\n":
            return [_value(each) for each in reply.items]
        case b":":
            return reply.number
        case b"_" | b"*":
            return None
        case b"$":
            return None if reply.data == b"$-1\r\n" else reply.bulk
    return reply.data[1:-2]
