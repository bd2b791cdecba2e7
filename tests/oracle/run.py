"""One sequence of requests to both servers, reply by reply."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.oracle.comparison import Comparison
from tests.oracle.memory_node import MemoryClient, MemoryNode
from tests.oracle.reference import Reference, ReferenceClient, Silent
from tests.oracle.reply_tree import read_reply

TRIES = 3
"""How often a difference must show in all: the reference's clock ticks on between two requests."""

SHOW_EXPIRED = frozenset((b"dbsize", b"exec"))
"""Commands whose replies count keys of the reference that have expired, and are still there."""


@dataclass(frozen=True)
class Ask:
    """A request of the client ``client``. ``prefix`` are words that dkv alone gets in front of it."""

    client: int
    words: tuple[bytes, ...]
    prefix: tuple[bytes, ...] = ()

    def __str__(self) -> str:
        return f"{self.client}> " + " ".join(map(_quoted, self.prefix + self.words))


@dataclass(frozen=True)
class Pass:
    """``milliseconds`` pass."""

    milliseconds: int

    def __str__(self) -> str:
        return f"   ({self.milliseconds} ms pass)"


@dataclass(frozen=True)
class Restart:
    """dkv's node loses its memory."""

    def __str__(self) -> str:
        return "   (the node restarts)"


_NUMBER = re.compile(rb"\d+")

Step = Ask | Pass | Restart


@dataclass(frozen=True)
class Found:
    """The replies differ at the step ``at``."""

    at: int
    steps: tuple[Step, ...] = field(repr=False)
    reference: bytes
    dkv: bytes

    @property
    def looks(self) -> tuple[bytes, bytes, bytes]:
        """The command and both replies, without their numbers."""
        step = self.steps[self.at]
        assert isinstance(step, Ask)
        return step.words[0].lower(), _NUMBER.sub(b"0", self.reference), _NUMBER.sub(b"0", self.dkv)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.steps[: self.at + 1]), f"reference: {self.reference!r}", f"dkv: {self.dkv!r}"])


class Run:
    """Both servers, empty at the beginning."""

    def __init__(self, reference: Reference, comparison: Comparison) -> None:
        self._reference = reference
        self._comparison = comparison
        reference.clear()
        self._node = MemoryNode(reference.time_ms())
        self._clients: dict[int, tuple[ReferenceClient, MemoryClient]] = {}
        self._queued: dict[int, list[tuple[bytes, ...]]] = {}

    def find(self, steps: tuple[Step, ...]) -> Found | None:
        """The first step at which the replies differ."""
        try:
            for at, step in enumerate(steps):
                match step:
                    case Ask():
                        replies = self._ask(step)
                        if replies is not None:
                            return Found(at, steps, *replies)
                    case Pass():
                        until = self._reference.time_ms() + step.milliseconds
                        while self._reference.time_ms() < until:
                            pass
                    case Restart():
                        self._node.restart()
            return None
        finally:
            for reference, _ in self._clients.values():
                reference.close()

    def _ask(self, step: Ask) -> tuple[bytes, bytes] | None:
        """The two replies if they differ."""
        if step.client not in self._clients:
            self._clients[step.client] = self._reference.connect(), self._node.connect()
        reference, client = self._clients[step.client]
        if step.words[0].lower() in SHOW_EXPIRED:
            self._reference.sweep()
        self._node.time_ms = self._reference.time_ms()
        try:
            theirs = reference.ask(step.words)
        except Silent:
            raise RuntimeError(f"the reference does not answer {step}") from None
        ours = client.ask([*step.prefix, *step.words])
        read = read_reply(ours)
        if read is None or read[1] != len(ours):
            return theirs.data, ours
        queued = self._queued.setdefault(step.client, [])
        same = self._comparison.same(step.words, theirs, read[0], queued)
        if theirs.data == b"+QUEUED\r\n":
            queued.append(step.words)
        elif step.words[0].lower() in (b"exec", b"discard", b"reset"):
            queued.clear()
        return None if same else (theirs.data, ours)


def find(reference: Reference, comparison: Comparison, steps: tuple[Step, ...]) -> Found | None:
    """The difference that ``steps`` show each time; None if there is none."""
    found = Run(reference, comparison).find(steps)
    for _ in range(TRIES - 1):
        if found is None:
            return None
        found = Run(reference, comparison).find(found.steps[: found.at + 1])
    return found


def _quoted(word: bytes) -> str:
    text = repr(word)[2:-1]
    return text if word and text.isascii() and not set(text) & set(" \\\"'") else f'"{text}"'
