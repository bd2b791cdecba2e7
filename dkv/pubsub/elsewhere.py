"""What the clients of other nodes have subscribed to, as far as those nodes have told."""

from __future__ import annotations

from collections.abc import Iterator

from dkv.kv.glob import PATTERN_BYTES_MAX
from dkv.pubsub.patterns import Patterns, weight_of
from dkv.pubsub_messages import CHANNEL, KINDS, PATTERN, Count, Name


class Elsewhere:
    """The counts of all peers. One peer's names may weigh ``weight_max`` together: more of them are not counted."""

    def __init__(self, weight_max: int) -> None:
        self._weight_max = weight_max
        self._told: dict[int, dict[Name, int]] = {}
        self._weights: dict[int, int] = {}
        self._totals: dict[Name, int] = {}
        self._patterns = Patterns()

    def tell(self, node: int, anew: bool, counts: tuple[Count, ...]) -> None:
        """A peer has told some of its counts; ``anew``: what it told before is not so any more."""
        if anew:
            self._clear(node)
        told = self._told.setdefault(node, {})
        for kind, name, count in counts:
            self._set(node, told, (kind, name), count)

    def _clear(self, node: int) -> None:
        told = self._told.pop(node, {})
        for name in list(told):
            self._set(node, told, name, 0)
        self._weights.pop(node, None)

    def _set(self, node: int, told: dict[Name, int], name: Name, count: int) -> None:
        kind, text = name
        before = told.get(name, 0)
        if not before:
            if not count or kind not in KINDS or (kind == PATTERN and len(text) > PATTERN_BYTES_MAX):
                return
            if self._weights.get(node, 0) + weight_of(kind == PATTERN, text) > self._weight_max:
                return
        if not before or not count:
            weight = weight_of(kind == PATTERN, text)
            self._weights[node] = self._weights.get(node, 0) + (weight if count else -weight)
        if count:
            told[name] = count
        else:
            del told[name]
        self._add(name, count - before)

    def _add(self, name: Name, more: int) -> None:
        total = self._totals.get(name, 0)
        if not total and name[0] == PATTERN:
            self._patterns.add(name[1])
        total += more
        if total:
            self._totals[name] = total
            return
        self._totals.pop(name, None)
        if name[0] == PATTERN:
            self._patterns.remove(name[1])

    def count(self, name: Name) -> int:
        """How many clients have subscribed to this name itself."""
        return self._totals.get(name, 0)

    def receivers(self, kind: int, channel: bytes) -> int:
        """How many clients would get what is published to this channel."""
        found = self._totals.get((kind, channel), 0)
        if kind == CHANNEL:
            for pattern in self._patterns.matching(channel):
                found += self._totals[PATTERN, pattern]
        return found

    @property
    def compared(self) -> int:
        """How often a channel was compared with a pattern so far."""
        return self._patterns.compared

    def names(self, kind: int) -> Iterator[bytes]:
        """All names of one kind."""
        return (name for each, name in self._totals if each == kind)
