"""Clients that append unique words and read, under faults; and a check that needs no search.

All writes of a key append a word of their own, so its value is its history. A history of such operations is
linearizable iff every read (in the order of their real times) shows a prefix of what later ones show, each word at
most once, every word that was acknowledged before the read began, and none whose append began after it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from dkv.kv.commands import APPEND, GET
from dkv.replies import Error
from tests.memory_cluster import MemoryCluster, Node, Waiting

KEYS = (b"a", b"b")


@dataclass
class Operation:
    """One append (``word`` set) or read, with the times of its call and its return on the cluster's clock."""

    key: bytes
    word: bytes | None
    called: float
    waiting: Waiting
    returned: float | None = None


class Clients:
    """Keeps up to ``concurrency`` operations going at nodes that are up, and records them all."""

    def __init__(self, cluster: MemoryCluster, random: Random, concurrency: int = 6) -> None:
        self._cluster = cluster
        self._random = random
        self._concurrency = concurrency
        self._words = 0
        self.operations: list[Operation] = []
        self._open: list[Operation] = []

    def collect(self) -> bool:
        """Record what was answered; whether nothing is under way any more."""
        for operation in self._open:
            if operation.waiting.answered:
                operation.returned = self._cluster.clock.seconds()
        self._open = [operation for operation in self._open if operation.returned is None]
        return not self._open

    def poke(self) -> None:
        """Record what was answered and begin new operations in its place."""
        self.collect()
        now = self._cluster.clock.seconds()
        ups = [node for node in self._cluster.nodes.values() if node.up]
        while ups and len(self._open) < self._concurrency:
            self._begin(self._random.choice(ups), now)

    def forget(self, node: Node) -> None:
        """The node crashed: its clients will never hear."""
        lost = set(map(id, node.clients.waiting.values()))
        self._open = [operation for operation in self._open if id(operation.waiting) not in lost]

    def _begin(self, node: Node, now: float) -> None:
        key = self._random.choice(KEYS)
        if self._random.random() < 0.5:
            self._words += 1
            word = b"%d," % self._words
            operation = Operation(key, word, now, node.request(APPEND, key, word, 1 << 20))
        else:
            operation = Operation(key, None, now, node.request(GET, key))
        self.operations.append(operation)
        self._open.append(operation)


def violations(operations: list[Operation]) -> list[str]:
    """What in the history no linearizable store would show, in words."""
    found: list[str] = []
    for key in KEYS:
        appends = [operation for operation in operations if operation.key == key and operation.word is not None]
        reads = [
            operation
            for operation in operations
            if operation.key == key and operation.word is None and _succeeded(operation)
        ]
        found += _check_key(appends, reads)
    return found


def _succeeded(operation: Operation) -> bool:
    return operation.returned is not None and not isinstance(operation.waiting.reply, Error)


def _words(read: Operation) -> list[bytes]:
    return [word + b"," for word in (read.waiting.reply or b"").split(b",") if word]


def _check_key(appends: list[Operation], reads: list[Operation]) -> list[str]:
    found: list[str] = []
    called = {operation.word: operation.called for operation in appends}
    refused = {
        operation.word
        for operation in appends
        if isinstance(operation.waiting.reply, Error) and not operation.waiting.reply.text.startswith("UNCERTAIN")
    }
    longest = max((_words(read) for read in reads), key=len, default=[])
    if len(set(longest)) != len(longest):
        found.append(f"a word is there twice: {longest}")
    for read in reads:
        words = _words(read)
        assert read.returned is not None
        if words != longest[: len(words)]:
            found.append(f"a read shows {words}, which is no beginning of {longest}")
        for word in words:
            if called[word] > read.returned:
                found.append(f"a read shows {word!r} before it was appended")
            if word in refused:
                found.append(f"{word!r} was refused as not applied, and a read shows it")
        shown = set(words)
        for append in appends:
            if _succeeded(append) and append.returned is not None and append.returned < read.called:
                if append.word not in shown:
                    found.append(f"{append.word!r} was acknowledged before a read that does not show it")
    return found + _check_reads_grow(reads)


def _check_reads_grow(reads: list[Operation]) -> list[str]:
    """A read that begins after another returned shows at least as much."""
    found: list[str] = []
    returns = sorted((read.returned or 0.0, len(_words(read))) for read in reads)
    longest_returned, position = 0, 0
    for read in sorted(reads, key=lambda read: read.called):
        while position < len(returns) and returns[position][0] < read.called:
            longest_returned = max(longest_returned, returns[position][1])
            position += 1
        if len(_words(read)) < longest_returned:
            found.append(f"a read shows {len(_words(read))} words after one that showed {longest_returned}")
    return found
