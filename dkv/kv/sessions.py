"""Producers and the answers to their newest writes: a repeated write is recognised, and answered as at first.

A *token* is a producer's name and an op id. The table is part of the replicated state, so every node knows every
answer, after a restart too. All nodes must forget the same answers, so every rule here depends only on constants
of the format and on the log, and recency is the place in the log, (slot, index in the slot) (Ongaro 2014, section 6.3).

================= ===================================================================================
key               value
================= ===================================================================================
``T`` ``P`` name  the producer: recency, highest op dropped and executed, count and bytes of answers
``T`` ``A`` ...   an answer; the key goes on with the length of the name, the name and the op id
================= ===================================================================================

Each answer is stored with a hash of its write, so that another write with the same token is refused. Answers of
formats 1 and 2, and of their entries in the log, have no hash: any write with the token gets them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from struct import Struct
from typing import Final, assert_never

from dkv.actor import Turn
from dkv.keys import TOKEN
from dkv.kv.codes import DELETE, ERASE, EXEC, RANDOMKEY, UNIFORM_FROM
from dkv.records import UncheckedEntry
from dkv.replies import ABORTED, OK, Aborted, Error, Result, Simple, Watched

PRODUCER_BYTES_MAX = 256
OP_MAX = 2**63 - 1

LOADED_MAX = 1_000
"""How many producers have their op ids in memory; those of others are read again when an answer must go."""

_PRODUCER = TOKEN + b"P"
_ANSWER = TOKEN + b"A"
_STORED = Struct(">QIQQII")  # slot, index, dropped, highest, count, size
_NAME_LENGTH = Struct(">H")
_OP = Struct(">Q")
_LENGTH = Struct(">Q")
_CHECKED = b"h"  # begins a stored answer that has a hash; an answer without one begins with the letter of its kind

Place = tuple[int, int]
"""A place in the log: (slot, index in the slot). Later places are greater."""


class New(Enum):
    """The result of ``find`` for a write that has not been executed: no answer is equal to it."""

    NEW = "new"


NEW: Final = New.NEW

OLD = Error("IDMPOLD the token is older than what is remembered; the write was not executed by this request")
MISMATCH = Error("IDMPMISMATCH the token was used with another write; this one was not executed: give it a new op id")

NOT_KEPT = Error("ERR this write was executed, and its answer was too large to be kept")

CHECK_BYTES = 8
NO_CHECK = b""
"""Stands in place of a write's hash: any write will do."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is remembered: the ``answers`` of each producer and their bytes, and the ``producers``.

    They are constants of the format, as are the two above: nodes with different ones would not have the same state.
    Only the simulator makes them small.
    """

    answers: int = 1_024
    answer_bytes: int = 1 << 20
    producers: int = 100_000


BOUNDS = Bounds()


@dataclass(slots=True)
class _Producer:
    """A producer in memory.

    ``dropped`` is the highest op whose answer was dropped, ``highest`` the highest that was executed, 0 for none.
    ``count`` and ``size`` are the number and the bytes of the answers that are kept.
    """

    dropped: int = 0
    highest: int = 0
    count: int = 0
    size: int = 0


class Sessions:
    """The table of producers, least recently used first; answers are on disk."""

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self._bounds = bounds
        self._producers: OrderedDict[bytes, _Producer] = OrderedDict()
        self._ops: OrderedDict[bytes, array[int]] = OrderedDict()

    def start(self, turn: Turn) -> None:
        """Load the producers. The state may be another one than before: nothing of that is kept."""
        self._ops.clear()
        found = []
        for key, data in turn.scan(_PRODUCER):
            slot, index, *rest = _STORED.unpack(data)
            found.append(((slot, index), key[len(_PRODUCER) :], _Producer(*rest)))
        found.sort(key=lambda each: each[0])
        self._producers = OrderedDict((name, producer) for _, name, producer in found)

    def register(self, turn: Turn, place: Place) -> bytes:
        """Make a new producer, and return its name."""
        name = b"#%d.%d" % place
        self._touch(turn, name, _Producer(), place)
        return name

    def find(self, turn: Turn, name: bytes, op: int, place: Place, check: bytes = NO_CHECK) -> Result | New:
        """The stored answer of a write; ``OLD`` if it may have been forgotten, ``NEW`` if the write is to be executed.

        ``MISMATCH`` if the answer belongs to a write whose hash is not ``check``.
        """
        producer = self._producers.get(name)
        if producer is None:
            return OLD if name.startswith(b"#") else NEW
        self._touch(turn, name, producer, place)
        if op <= producer.dropped:
            return OLD
        stored = turn.load(_answer_key(name, op)) if op <= producer.highest else None
        if stored is None:
            return NEW
        held, answer = _split(stored)
        return MISMATCH if held and check and held != check else answer

    def remember(self, turn: Turn, name: bytes, op: int, answer: Result, place: Place, check: bytes = NO_CHECK) -> None:
        """Store the answer of a write that was just executed, and its hash; answers beyond a limit are forgotten.

        In place of one that is too large by itself, an error is kept that says so.
        """
        producer = self._producers.get(name) or _Producer()
        head = _CHECKED + check if check else b""
        stored = head + pack_answer(answer)
        if len(stored) > self._bounds.answer_bytes:
            stored = min(stored, head + pack_answer(NOT_KEPT), key=len)
        turn.stage(_answer_key(name, op), stored)
        producer.highest = max(producer.highest, op)
        producer.count += 1
        producer.size += len(stored)
        ops = self._ops.get(name)
        if ops is not None:
            ops.insert(bisect_left(ops, op), op)
        while producer.count > self._bounds.answers or producer.size > self._bounds.answer_bytes:
            self._drop_lowest(turn, name, producer)
        self._touch(turn, name, producer, place)

    def _touch(self, turn: Turn, name: bytes, producer: _Producer, place: Place) -> None:
        """Note that the producer was used last; another one may have to go."""
        self._producers[name] = producer
        self._producers.move_to_end(name)
        numbers = (producer.dropped, producer.highest, producer.count, producer.size)
        turn.stage(_PRODUCER + name, _STORED.pack(*place, *numbers))
        if len(self._producers) > self._bounds.producers:
            evicted, least = self._producers.popitem(last=False)
            for op in self._ops.pop(evicted, None) or _held_ops(turn, evicted, least):
                turn.stage_erase(_answer_key(evicted, op))
            turn.stage_erase(_PRODUCER + evicted)

    def _drop_lowest(self, turn: Turn, name: bytes, producer: _Producer) -> None:
        op = self._loaded_ops(turn, name, producer).pop(0)
        key = _answer_key(name, op)
        stored = turn.load(key)
        assert stored is not None, f"the answer of op {op} is counted and not stored"
        turn.stage_erase(key)
        producer.dropped = op
        producer.count -= 1
        producer.size -= len(stored)

    def _loaded_ops(self, turn: Turn, name: bytes, producer: _Producer) -> array[int]:
        """The op ids whose answers are kept, in order."""
        ops = self._ops.get(name)
        if ops is None:
            ops = self._ops[name] = _held_ops(turn, name, producer)
            if len(self._ops) > LOADED_MAX:
                self._ops.popitem(last=False)
        else:
            self._ops.move_to_end(name)
        return ops


def _held_ops(turn: Turn, name: bytes, producer: _Producer) -> array[int]:
    """The op ids whose answers are kept, in order. They are read only if the numbers do not tell: a scan is slow."""
    if producer.count == 1:
        return array("Q", [producer.highest])
    if producer.count == producer.highest - producer.dropped:
        return array("Q", range(producer.dropped + 1, producer.highest + 1))
    prefix = _answers_prefix(name)
    return array("Q", [_OP.unpack(key[len(prefix) :])[0] for key, _ in turn.scan(prefix)])


def _answers_prefix(name: bytes) -> bytes:
    return _ANSWER + _NAME_LENGTH.pack(len(name)) + name


def _answer_key(name: bytes, op: int) -> bytes:
    return _answers_prefix(name) + _OP.pack(op)


def check_of(write: UncheckedEntry) -> bytes:
    """The hash of a write: of its kind and what the client has sent, and of no setting or state of a node.

    It is total, as apply is: an entry that no client sent has a hash, too.
    """
    code = write[0]
    assert type(code) is int, "a write begins with its number"
    if code == ERASE and [*write[1:2]] == [0]:
        # The same request was a DELETE in formats 1 to 5, and may be sent again after the upgrade.
        code, write = DELETE, [DELETE, *write[3:]]
    if code >= UNIFORM_FROM:
        return blake2b(_text_of(write), digest_size=CHECK_BYTES).digest()
    parts = [field for field in write[1:] if type(field) is bytes]
    lengths = b"".join(_LENGTH.pack(len(part)) for part in parts)
    head = b"%d %d " % (code, len(parts))
    return blake2b(head + lengths + b"".join(parts), digest_size=CHECK_BYTES).digest()


def _text_of(write: UncheckedEntry) -> bytes:
    """What of a write is hashed: all but ``bytes_max``, which is a setting of the node that has taken it.

    Of an EXEC also not what its WATCH has seen: a client that sends it again has to watch again. Nor a random number.
    """
    match write:
        case [int() as code, db, _, [*watched], [*entries]] if code == EXEC:
            keys = [each[:2] if type(each) is list else each for each in watched]
            texts = [_text_of(each) if type(each) is list else _shape(each) for each in entries]
            return _shape([code, db, keys, *texts])
        case [int() as code, db, *_] if code == RANDOMKEY:
            return _shape([code, db])
        case [int() as code, db, _, *arguments] if code >= UNIFORM_FROM:
            return _shape([code, db, *arguments])
        case [int() as code, *arguments]:
            return _shape([code, *(each for each in arguments if type(each) is bytes)])
    return _shape(write)


def _shape(argument: object) -> bytes:
    """An argument as text, with its type and length, so that no two have the same."""
    if type(argument) is bytes:
        return b"b%d:%b" % (len(argument), argument)
    if type(argument) is int:
        return b"i%x;" % argument
    if isinstance(argument, list | tuple):
        return b"l%d:%b" % (len(argument), b"".join(map(_shape, argument)))
    return b"?"  # nothing that a command has


def producer_counts(key: bytes, stored: bytes) -> int | None:
    """How many answers the producer of this key keeps; None if it is the key of an answer. ``ValueError`` for neither.

    ``struct.error`` if what is stored has another form.
    """
    if key.startswith(_PRODUCER):
        return int(_STORED.unpack(stored)[4])
    if key.startswith(_ANSWER):
        return None
    raise ValueError(f"{key!r} is no key of a token")


def unpack_answer_of(stored: bytes) -> Result:
    """The answer that is stored under the key of one; ``ValueError`` if it is none."""
    return _split(stored)[1]


def _split(stored: bytes) -> tuple[bytes, Result]:
    """The stored hash and answer; ``NO_CHECK`` if no hash was stored."""
    if stored[:1] != _CHECKED:
        return NO_CHECK, unpack_answer(stored)
    return stored[1 : 1 + CHECK_BYTES], unpack_answer(stored[1 + CHECK_BYTES :])


def pack_answer(answer: Result) -> bytes:
    """The stored form of a write's answer: a letter for its kind, then the text or the bytes.

    A list has the stored forms of its items, each behind its length.
    """
    match answer:
        case None:
            return b"n"
        case int():
            return b"i%d" % answer
        case bytes():
            return b"b" + answer
        case Simple():
            return b"s" + answer.text.encode()
        case Error():
            return b"e" + answer.text.encode()
        case Aborted():
            return b"a"
        case list():
            items = [pack_answer(item) for item in answer]
            return b"l" + b"".join(_LENGTH.pack(len(item)) + item for item in items)
        case Watched():
            return pack_answer(OK)  # which clients see; no token goes with a read
        case _:
            assert_never(answer)


def unpack_answer(stored: bytes) -> Result:
    """The answer that ``pack_answer`` stored."""
    kind, content = stored[:1], stored[1:]
    match kind:
        case b"n":
            return None
        case b"i":
            return int(content)
        case b"b":
            return content
        case b"s":
            return Simple(content.decode())
        case b"e":
            return Error(content.decode())
        case b"a":
            return ABORTED
        case b"l":
            return [unpack_answer(item) for item in _items(content)]
    raise ValueError(f"no answer is stored as {kind!r}")


def _items(content: bytes) -> Iterator[bytes]:
    """The stored forms in a stored list; ``ValueError`` if it ends within one."""
    position = 0
    while position < len(content):
        begin = position + _LENGTH.size
        position = begin + int.from_bytes(content[position:begin], "big")
        if position > len(content):
            raise ValueError("a stored list ends within an item")
        yield content[begin:position]
