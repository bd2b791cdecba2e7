"""The rules of tokens, written a second time in the plainest form: the state machine's table must agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from struct import pack
from typing import Any

from dkv.keys import TOKEN
from dkv.kv.codes import DELETE, ERASE, EXEC, RANDOMKEY, UNIFORM_FROM
from dkv.kv.machine import NOT_EXECUTED
from dkv.kv.sessions import MISMATCH, NOT_KEPT, OLD, Bounds, pack_answer, unpack_answer
from dkv.records import UncheckedEntry
from dkv.replies import Result


@dataclass(frozen=True, slots=True)
class Execution:
    """A ``write`` with a token was executed in ``slot``, with this answer."""

    slot: int
    write: UncheckedEntry
    answer: Result


@dataclass(slots=True)
class _Producer:
    name: bytes
    used: tuple[int, int]
    dropped: int = 0
    highest: int = 0
    answers: dict[int, bytes] = field(default_factory=dict)
    """The answers as they are stored, by op."""


class TokenTable:
    """Every producer with its answers. ``write(key, value)`` is told what the disk must hold, None for nothing."""

    def __init__(self, bounds: Bounds, write: Callable[[bytes, bytes | None], None]) -> None:
        self.executions: defaultdict[tuple[bytes, int], list[Execution]] = defaultdict(list)
        """The executions of each token, by (producer, op): several if its producer was evicted and began anew."""
        self.evicted: set[bytes] = set()
        """The producers that were forgotten at least once."""
        self._bounds = bounds
        self._write = write
        self._producers: dict[bytes, _Producer] = {}
        self._place = (0, 0)

    def register(self, slot: int) -> bytes:
        """Make the producer of an IDMP NEW, and return its name."""
        place = self._next_place(slot)
        self._store(_Producer(b"#%d.%d" % place, place))
        return b"#%d.%d" % place

    def judge(self, slot: int, name: bytes, op: int, write: UncheckedEntry, execute: Callable[[], Result]) -> Result:
        """The answer to a ``write`` with a token. ``execute`` is called if it is neither a repeat nor forgotten."""
        place = self._next_place(slot)
        producer = self._producers.get(name)
        if producer is None:
            if name.startswith(b"#"):
                return OLD
            producer = _Producer(name, place)
        producer.used = place
        found = _found(producer, op, _hash(write))
        answer = self._executed(slot, producer, op, write, execute()) if found is None else found[0]
        self._store(producer)
        return answer

    def _executed(self, slot: int, producer: _Producer, op: int, write: UncheckedEntry, answer: Result) -> Result:
        """The write was executed: keep its answer, and as many of the older ones as the bounds allow."""
        name = producer.name
        self.executions[name, op].append(Execution(slot, write, answer))
        stored = b"h" + _hash(write) + pack_answer(answer)
        if len(stored) > self._bounds.answer_bytes:
            stored = min(stored, b"h" + _hash(write) + pack_answer(NOT_KEPT), key=len)
        producer.answers[op] = stored
        producer.highest = max(producer.highest, op)
        self._write(self._answer_key(name, op), producer.answers[op])
        while len(producer.answers) > self._bounds.answers or _size(producer) > self._bounds.answer_bytes:
            producer.dropped = min(producer.answers)
            del producer.answers[producer.dropped]
            self._write(self._answer_key(name, producer.dropped), None)
        return answer

    def look_up(self, slot: int, name: bytes, op: int, check: bytes) -> Result:
        """A repeat asks for its answer and executes nothing; its producer counts as used."""
        place = self._next_place(slot)
        producer = self._producers.get(name)
        if producer is None:
            return OLD if name.startswith(b"#") else NOT_EXECUTED
        producer.used = place
        self._store(producer)
        found = _found(producer, op, check)
        return NOT_EXECUTED if found is None else found[0]

    def _next_place(self, slot: int) -> tuple[int, int]:
        last_slot, index = self._place
        self._place = (slot, index + 1 if slot == last_slot else 0)
        return self._place

    def _store(self, producer: _Producer) -> None:
        self._producers[producer.name] = producer
        numbers = (producer.dropped, producer.highest, len(producer.answers), _size(producer))
        self._write(self._producer_key(producer.name), pack(">QIQQII", *producer.used, *numbers))
        if len(self._producers) > self._bounds.producers:
            oldest = min(self._producers.values(), key=lambda each: each.used)
            del self._producers[oldest.name]
            self.evicted.add(oldest.name)
            for op in oldest.answers:
                self._write(self._answer_key(oldest.name, op), None)
            self._write(self._producer_key(oldest.name), None)

    def _producer_key(self, name: bytes) -> bytes:
        return TOKEN + b"P" + name

    def _answer_key(self, name: bytes, op: int) -> bytes:
        return TOKEN + b"A" + pack(">H", len(name)) + name + pack(">Q", op)


def _size(producer: _Producer) -> int:
    return sum(map(len, producer.answers.values()))


def _found(producer: _Producer, op: int, check: bytes) -> tuple[Result] | None:
    """The answer to a write that was executed, or is refused; None if it is to be executed."""
    if op <= producer.dropped:
        return (OLD,)
    if op not in producer.answers:
        return None
    stored = producer.answers[op]
    return (unpack_answer(stored[9:]) if stored[1:9] == check else MISMATCH,)


def _hash(write: UncheckedEntry) -> bytes:
    """Tells writes with one token apart: the kind of command, the number of words, their lengths, and their bytes."""
    kind, *fields = write
    assert isinstance(kind, int)
    if kind == ERASE and fields[0] == 0:
        kind, fields = DELETE, fields[2:]  # as earlier versions have it
    if kind >= UNIFORM_FROM:
        return blake2b(_text(write), digest_size=8).digest()
    words = [word for word in fields if isinstance(word, bytes)]
    text = b"%d %d " % (kind, len(words))
    for word in words:
        text += pack(">Q", len(word))
    return blake2b(text + b"".join(words), digest_size=8).digest()


def _text(write: Any) -> bytes:
    """An entry as text, without what depends on the node that took it, or on what a WATCH has seen."""
    kind, *fields = write
    if kind < UNIFORM_FROM:
        return _shape([kind, *(field for field in fields if isinstance(field, bytes))])
    db, _, *arguments = fields
    if kind == RANDOMKEY:
        return _shape([kind, db])
    if kind == EXEC:
        watched, entries = arguments
        return _shape([kind, db, [[each[0], each[1]] for each in watched], *map(_text, entries)])
    return _shape([kind, db, *arguments])


def _shape(argument: Any) -> bytes:
    if isinstance(argument, bytes):
        return b"b" + str(len(argument)).encode() + b":" + argument
    if isinstance(argument, int):
        return b"i" + format(argument, "x").encode() + b";"
    return b"l" + str(len(argument)).encode() + b":" + b"".join(map(_shape, argument))
