"""The events of keys that a real server tells, and those of dkv, when both get the same requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random

from tests.oracle.comparison import Comparison
from tests.oracle.memory_node import MemoryNode
from tests.oracle.reference import RealReference
from tests.oracle.run import Ask, Found, Iterate, Run, Step
from tests.oracle.search import Search

SETTING = b"notify-keyspace-events"
ALL = b"KEg$xn"
"""Not ``A`` beside ``n``: Redis forgets the ``n`` when a CONFIG SET behind it fails."""

LETTERS = (ALL, ALL, b"KEA", b"AK", b"Ex", b"E$n", b"Kgx", b"A", b"", b"KElshzetd", b"?")

Message = tuple[bytes, bytes]
"""A channel, and what was told there."""

_PATTERNS = (b"__key*__:*", b"end")


class EventRun(Run):
    """Both servers, empty at the beginning, with a subscriber to all channels of the reference."""

    _node: MemoryNode

    def __init__(self, reference: RealReference, comparison: Comparison, events: set[bytes]) -> None:
        super().__init__(reference, comparison)
        self._events = events
        self._server = reference
        self._publisher, self._subscriber = reference.connect(), reference.connect()
        self._subscriber.ask_all([(b"PSUBSCRIBE", pattern) for pattern in _PATTERNS])
        self._publisher.ask([b"CONFIG", b"SET", SETTING, b""])

    def find(self, steps: tuple[Step, ...]) -> Found | None:
        try:
            return super().find(steps)
        finally:
            self._publisher.close()
            self._subscriber.close()

    def _go_on(self, until_ms: int, words: Sequence[bytes]) -> None:
        super()._go_on(until_ms, words)
        self._end_keys()

    def _end_keys(self) -> None:
        """Keys that have expired go, in both."""
        self._server.sweep()
        self._node.time_ms = self._server.time_ms()
        self._node.begin_slot()

    def _ask(self, step: Ask) -> tuple[bytes, bytes] | None:
        replies = super()._ask(step)
        if replies is not None or self._comparison.parted:
            return replies
        self._end_keys()
        theirs, ours = self._told(), self._node.told
        self._node.told = []
        if self._server.name == "valkey" and any(map(_is_end, theirs + ours)):
            return None  # It tells a deadline that has passed already in another way than Redis 7.
        self._events |= {_event(message) for message in theirs}
        same = _in_order(theirs) == _in_order(ours) and _ends(theirs) == _ends(ours)
        return None if same else (_shown(theirs), _shown(ours))

    def _told(self) -> list[Message]:
        """What the channels were told since the last time."""
        self._publisher.ask([b"PUBLISH", b"end", b""])
        told: list[Message] = []
        while True:
            _, _, channel, text = self._subscriber.read().items
            if channel.bulk == b"end":
                return told
            told.append((channel.bulk, text.bulk))


def _event(message: Message) -> bytes:
    channel, text = message
    return text if channel.startswith(b"__keyspace") else channel.partition(b"__:")[2]


def _is_end(message: Message) -> bool:
    return _event(message) == b"expired"


def _in_order(told: list[Message]) -> list[Message]:
    return [message for message in told if not _is_end(message)]


def _ends(told: list[Message]) -> Counter[Message]:
    """Redis erases a key that has expired when it comes by: at no certain time, and in no certain order."""
    return Counter(message for message in told if _is_end(message))


def _shown(told: list[Message]) -> bytes:
    return b", ".join(b"%b: %b" % message for message in told)


class EventSearch(Search):
    """Looks for other events than those of ``reference``."""

    def __init__(self, reference: RealReference, seed: int) -> None:
        super().__init__(reference, seed)
        self._server = reference
        self.events: set[bytes] = set()
        """Those that the reference has told, and dkv as well."""

    def _look(self, steps: tuple[Step, ...]) -> Found | None:
        return EventRun(self._server, self.comparison, self.events).find(steps)

    def _sequence(self, random: Random) -> tuple[Step, ...]:
        return tuple(self._with_settings(super()._sequence(random), random))

    def _with_settings(self, steps: tuple[Step, ...], random: Random) -> Iterator[Step]:
        """The setting changes now and then, also in a transaction."""
        yield Ask(0, (b"CONFIG", b"SET", SETTING, ALL))
        for step in steps:
            letters = random.choice(LETTERS)
            if random.random() < 0.05 and (self._server.name != "valkey" or b"x" in letters):
                yield Ask(0, (b"CONFIG", b"SET", SETTING, letters))
            if not isinstance(step, Iterate):
                yield step
