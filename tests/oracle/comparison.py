"""Whether two replies are the same, or differ as the list of differences allows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from dkv.kv.differences import DIFFERENCES, Difference
from tests.oracle.reply_tree import Reply


class Comparison:
    """Compares replies with ``allowed`` differences; ``used`` counts how often each was met."""

    def __init__(self, allowed: Sequence[Difference] = DIFFERENCES) -> None:
        self._allowed = [(each, re.compile(each.redis, re.DOTALL), re.compile(each.dkv, re.DOTALL)) for each in allowed]
        self.used: Counter[Difference] = Counter()

    def same(self, words: Sequence[bytes], theirs: Reply, ours: Reply, queued: Sequence[Sequence[bytes]] = ()) -> bool:
        """Whether both replies agree: the reference's and that of dkv. An EXEC answers what was ``queued``."""
        if theirs.data == ours.data:
            return True
        name = words[0].lower()
        if name == b"exec" and len(theirs.items) == len(ours.items) == len(queued) > 0:
            pairs = zip(queued, theirs.items, ours.items, strict=True)
            return theirs.kind == ours.kind and all(self.same(*each) for each in pairs)
        names = {name.decode("utf-8", "replace")}
        if len(words) > 1:
            names.add(f"{name.decode('utf-8', 'replace')}|{words[1].lower().decode('utf-8', 'replace')}")
        for difference, redis, dkv in self._allowed:
            if difference.commands and not names & set(difference.commands):
                continue
            if difference.unordered:
                matches = _unordered(theirs) == _unordered(ours)
            else:
                matches = bool(redis.fullmatch(theirs.data) and dkv.fullmatch(ours.data))
            if matches:
                self.used[difference] += 1
                return True
        return False


def _unordered(reply: Reply) -> object:
    """The reply, whatever the order of what is in it."""
    return (reply.kind, sorted(map(repr, map(_unordered, reply.items)))) if reply.items else reply.data
