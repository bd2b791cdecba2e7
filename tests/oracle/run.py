"""One sequence of requests to both servers, reply by reply."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.oracle.comparison import Comparison
from tests.oracle.memory_node import MemoryClient, MemoryNode
from tests.oracle.reference import Client, Reference, Silent
from tests.oracle.reply_tree import read_reply, read_whole

TRIES = 3
"""How often a difference must show in all, where the reference's clock goes on between two requests."""

SCANS_MAX = 1000

SHOW_EXPIRED = frozenset((b"dbsize", b"exec", b"memory"))
"""Commands that find keys of the reference which have expired, and which nobody has looked at since."""


@dataclass(frozen=True)
class Ask:
    """A request of the client ``client``. ``prefix`` are words that dkv alone gets in front of it."""

    client: int
    words: tuple[bytes, ...]
    prefix: tuple[bytes, ...] = ()

    def __str__(self) -> str:
        return f"{self.client}> " + " ".join(map(_quoted, self.prefix + self.words))


@dataclass(frozen=True)
class Iterate:
    """SCAN from cursor 0 until the cursor is 0 again; the two sets of keys are compared."""

    client: int
    options: tuple[bytes, ...]

    def __str__(self) -> str:
        return f"{self.client}> SCAN 0 ... SCAN " + " ".join(map(_quoted, self.options))


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

Step = Ask | Iterate | Pass | Restart


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
        name = step.words[0].lower() if isinstance(step, Ask) else b"scan"
        return name, _NUMBER.sub(b"0", self.reference), _NUMBER.sub(b"0", self.dkv)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.steps[: self.at + 1]), f"reference: {self.reference!r}", f"dkv: {self.dkv!r}"])


class Run:
    """Both servers, empty at the beginning."""

    def __init__(self, reference: Reference, comparison: Comparison) -> None:
        self._reference = reference
        self._comparison = comparison
        reference.clear()
        comparison.parted = False
        self._node = MemoryNode(reference.time_ms())
        self._clients: dict[int, tuple[Client, MemoryClient]] = {}
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
                        if self._comparison.parted:
                            return None
                    case Iterate():
                        keys = self._iterate(step)
                        if keys is not None:
                            return Found(at, steps, *keys)
                    case Pass():
                        until = self._reference.time_ms() + step.milliseconds
                        self._go_on(until, ())
                    case Restart():
                        self._node.restart()
            return None
        finally:
            for reference, _ in self._clients.values():
                reference.close()

    def _go_on(self, until_ms: int, words: Sequence[bytes]) -> None:
        """Let time pass until then, or a moment longer: a key lives to the end of its last millisecond in Redis."""
        while (
            self._node.has_deadline(until_ms)
            or b"%d" % until_ms in words
            or (until_ms % 1000 == 0 and b"%d" % (until_ms // 1000) in words)
        ):
            until_ms += 1
        if until_ms > self._reference.time_ms():
            self._reference.go_on(until_ms)

    def _pair(self, client: int) -> tuple[Client, MemoryClient]:
        if client not in self._clients:
            self._clients[client] = self._reference.connect(), self._node.connect()
        self._node.time_ms = self._reference.time_ms()
        self._node.reads_in_log = not self._node.reads_in_log
        return self._clients[client]

    def _iterate(self, step: Iterate) -> tuple[bytes, bytes] | None:
        """What the two iterations came to, if they differ."""
        reference, client = self._pair(step.client)
        theirs = _scanned(lambda words: reference.ask(words).data, step.options)
        ours = _scanned(client.ask, step.options)
        if ours == b"+QUEUED\r\n":
            self._queued.setdefault(step.client, []).append((b"SCAN",))
        if theirs[:1] + ours[:1] == b"**":
            return None if theirs == ours else (theirs, ours)
        same = self._comparison.same((b"SCAN", b"0", *step.options), read_whole(theirs), read_whole(ours))
        return None if same else (theirs, ours)

    def _ask(self, step: Ask) -> tuple[bytes, bytes] | None:
        """The two replies if they differ."""
        if step.words[0].lower() in SHOW_EXPIRED:
            self._reference.sweep()
        queued = self._queued.setdefault(step.client, [])
        self._go_on(self._reference.time_ms(), [word for words in (step.words, *queued) for word in words])
        reference, client = self._pair(step.client)
        try:
            theirs = reference.ask(step.words)
        except Silent:
            raise RuntimeError(f"the reference does not answer {step}") from None
        ours = client.ask([*step.prefix, *step.words])
        if step.prefix and client.ask([*step.prefix, *step.words]) != ours:
            return theirs.data, b"another answer to a repeat"
        read = read_reply(ours)
        if read is None or read[1] != len(ours):
            return theirs.data, ours
        same = self._comparison.same(step.words, theirs, read[0], queued)
        if read[0].data == b"+QUEUED\r\n":
            queued.append(step.words)
        elif step.words[0].lower() in (b"exec", b"discard", b"reset"):
            queued.clear()
        return None if same else (theirs.data, ours)


def find(reference: Reference, comparison: Comparison, steps: tuple[Step, ...]) -> Found | None:
    """The difference that ``steps`` show each time; None if there is none."""
    found = Run(reference, comparison).find(steps)
    for _ in range(0 if reference.steady else TRIES - 1):
        if found is None:
            return None
        found = Run(reference, comparison).find(found.steps[: found.at + 1])
    return found


def _scanned(ask: Callable[[list[bytes]], bytes], options: Sequence[bytes]) -> bytes:
    """All keys that an iteration answers, in the order of their bytes, as one reply; another reply as it is."""
    cursor, keys = b"0", set()
    for _ in range(SCANS_MAX):
        data = ask([b"SCAN", cursor, *options])
        read = read_reply(data)
        if read is None or read[1] != len(data) or len(read[0].items) != 2:
            return data
        cursor = read[0].items[0].bulk
        keys |= {key.data for key in read[0].items[1].items}
        if cursor == b"0":
            return b"*%d\r\n%b" % (len(keys), b"".join(sorted(keys)))
    return b"-an iteration without an end\r\n"


def _quoted(word: bytes) -> str:
    text = repr(word)[2:-1]
    return text if word and text.isascii() and not set(text) & set(" \\\"'") else f'"{text}"'
