"""Pages of what is written and not on disk yet, in key order, without a cost for each write.

A dict keeps its keys in the order in which they came. So the keys that are new since the last page are the last ones of
it, and nothing has to be noted when they are written.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import islice
from operator import itemgetter

Writes = dict[bytes, bytes | None]


class KeyOrder:
    """The keys of ``writes`` in order. No key may ever be taken out of ``writes``.

    They are kept as sorted runs, each more than twice as long as the next one. So a key is sorted a few times at most,
    and a page has few runs to look through.
    """

    def __init__(self, writes: Writes) -> None:
        self._writes = writes
        self._runs: list[list[bytes]] = []
        self._count = 0

    def pairs(self, prefix: bytes, start: bytes) -> list[Iterator[tuple[bytes, bytes | None]]]:
        """What is written for the keys with ``prefix`` from ``start`` on: several iterators, each in key order.

        They are good until something is written.
        """
        self._catch_up()
        return [self._pairs_of(run, prefix, start) for run in self._runs]

    def _catch_up(self) -> None:
        """Take in the keys that are new."""
        new = len(self._writes) - self._count
        if not new:
            return
        self._count += new
        runs = self._runs
        runs.append(sorted(islice(reversed(self._writes), new)))
        while len(runs) > 1 and len(runs[-2]) <= 2 * len(runs[-1]):
            last = runs.pop()
            runs[-1] += last
            runs[-1].sort()  # two sorted runs: it merges them

    def _pairs_of(self, run: list[bytes], prefix: bytes, start: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        writes = self._writes
        for index in range(bisect_left(run, max(prefix, start)), len(run)):
            key = run[index]
            if not key.startswith(prefix):
                return
            yield key, writes[key]


def newest(sources: Iterable[Iterable[tuple[bytes, bytes | None]]]) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of all ``sources`` in key order, without keys that are erased (None).

    Each source is in key order. A key that several have counts as the first of these sources has it.
    """
    last = None
    for key, value in merge(*sources, key=itemgetter(0)):  # which is stable
        if key != last:
            last = key
            if value is not None:
                yield key, value
