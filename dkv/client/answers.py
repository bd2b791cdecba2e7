"""Answers of a node, read from a stream of bytes: RESP 2, and the types of RESP 3, which another server may send.

An error below the top level, as in the answer to a transaction, is a value like any other. The items behind it still
belong to this answer, and must not be taken for the answer to the next request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from enum import Enum, auto
from typing import TypeVar

from dkv.replies import Error

Reply = bytes | int | float | str | None | Error | list["Reply"]
"""A string of bytes, a number (or a ``bool``), a status such as ``OK``, nil, an error, or an array.

A set is an array, and a map is an array of its keys and values in turn, as in RESP 2.
"""

T = TypeVar("T")


class Incomplete(Enum):
    """The bytes so far end within an answer: more have to come."""

    INCOMPLETE = auto()


INCOMPLETE = Incomplete.INCOMPLETE

REPLY_BYTES_MAX = 512 * 1024 * 1024
"""The longest answer that is accepted, in bytes: Redis's own limit for a string."""

LINE_BYTES_MAX = 64 * 1024
DEPTH_MAX = 64
_SIZE = re.compile(rb"[0-9]{1,19}")
_INTEGER = re.compile(rb"[+-]?[0-9]{1,1000}")
_DOUBLE = re.compile(rb"[+-]?(inf|nan|[0-9]{1,400}(\.[0-9]{0,400})?([eE][+-]?[0-9]{1,4})?)")
_NIL = (b"$-1", b"*-1", b"_")


class NotUnderstood(Exception):
    """These bytes are not an answer, so the bytes behind them mean nothing either. The text shows how they begin."""


class SpeaksTls(NotUnderstood):
    """These bytes are how TLS refuses a client that does not speak it."""


TLS_ALERT = b"\x15\x03"

More = Generator[None, None, T]
"""Reads a ``T``, and yields whenever it needs more bytes."""


class AnswerParser:
    """Reads answers from bytes as they come, one after another. After ``NotUnderstood`` it is of no more use."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._received = 0  # bytes of the answer being read
        self._reading: More[Reply] | None = None

    @property
    def pending(self) -> bool:
        """Whether bytes are left that belong to no answer read so far."""
        return bool(self._buffer) or self._reading is not None

    def feed(self, data: bytes) -> None:
        """These bytes have come."""
        self._received += len(data)
        self._buffer += data

    def take(self) -> Reply | Incomplete:
        """The next answer, or ``INCOMPLETE`` until more bytes have come."""
        if self._reading is None:
            if not self._buffer:
                return INCOMPLETE
            self._received = len(self._buffer)
            self._reading = self._answer()
        elif self._received > REPLY_BYTES_MAX:
            raise _too_long()
        try:
            next(self._reading)
        except StopIteration as end:
            self._reading = None
            reply: Reply = end.value
            return reply
        return INCOMPLETE

    def _answer(self) -> More[Reply]:
        while (line := (yield from self._line()))[:1] == b">":  # a message that answers nothing
            yield from self._items(line, 1, 0)
        return (yield from self._value(line, 0))

    def _value(self, line: bytes, depth: int) -> More[Reply]:
        """The value that begins with ``line``."""
        kind, rest = line[:1], line[1:]
        match kind:
            case b"+":
                return rest.decode("utf-8", "replace")
            case b"-":
                return Error(rest.decode("utf-8", "replace"))
            case _ if line in _NIL:
                return None
            case b":" | b"(" if _INTEGER.fullmatch(rest):
                return int(rest)
            case b"," if _DOUBLE.fullmatch(rest):
                return float(rest)
            case b"#" if rest in (b"t", b"f"):
                return rest == b"t"
            case b"$":
                return (yield from self._string(line))
            case b"=":
                return (yield from self._string(line))[4:]  # behind the kind of text, such as "txt:"
            case b"!":
                return Error((yield from self._string(line)).decode("utf-8", "replace"))
            case b"*" | b"~":
                return (yield from self._items(line, 1, depth))
            case b"%":
                return (yield from self._items(line, 2, depth))
            case b"|":  # attributes of the value that follows
                yield from self._items(line, 2, depth)
                return (yield from self._value((yield from self._line()), depth + 1))
        raise _wrong(line)

    def _items(self, line: bytes, each: int, depth: int) -> More[list[Reply]]:
        """The items of an array. ``line`` gives their number, and ``each`` values make one item."""
        if not _SIZE.fullmatch(line[1:]) or depth == DEPTH_MAX:
            raise _wrong(line)
        items: list[Reply] = []
        for _ in range(int(line[1:]) * each):
            items.append((yield from self._value((yield from self._line()), depth + 1)))
        return items

    def _string(self, line: bytes) -> More[bytes]:
        if not _SIZE.fullmatch(line[1:]):
            raise _wrong(line)
        size = int(line[1:])
        if size > REPLY_BYTES_MAX:
            raise _too_long()
        while len(self._buffer) < size + 2:
            yield
        data = bytes(self._buffer[:size])
        if self._buffer[size : size + 2] != b"\r\n":
            raise _wrong(b"a string without an end")
        del self._buffer[: size + 2]
        return data

    def _line(self) -> More[bytes]:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if self._buffer.startswith(TLS_ALERT):  # it has no end of a line
                raise SpeaksTls("it speaks TLS, and this client was told of none")
            if len(self._buffer) > LINE_BYTES_MAX:
                raise _wrong(bytes(self._buffer))
            yield
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line


class Answers:
    """Reads answers one after another. ``receive`` returns the next bytes of the stream, at least one, or raises."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._more = receive
        self._parser = AnswerParser()

    @property
    def pending(self) -> bool:
        """Whether bytes are left that belong to no answer read so far."""
        return self._parser.pending

    def early(self, data: bytes) -> None:
        """These bytes have come before anybody asked for more."""
        if data:
            self._parser.feed(data)

    def read(self) -> Reply:
        """The next answer. After ``NotUnderstood``, or an error of ``receive``, the stream is of no more use."""
        while (reply := self._parser.take()) is INCOMPLETE:
            self._parser.feed(self._more())
        assert not isinstance(reply, Incomplete)
        return reply


def _wrong(data: bytes) -> NotUnderstood:
    return NotUnderstood(f"it does not answer as a node of dkv would: {data[:40]!r}")


def _too_long() -> NotUnderstood:
    return NotUnderstood(f"its answer is longer than {REPLY_BYTES_MAX} bytes")
