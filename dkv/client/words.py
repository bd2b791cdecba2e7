"""The methods that both clients and their pipelines have, each declared once: its parameters, its words, its result.

Keys and values are bytes, text (sent as UTF-8) or whole numbers. Values come back as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

from dkv.client.answers import Reply
from dkv.client.instruction import Instruction, Word, all_encoded, encoded, unreadable
from dkv.client.outcome import bound_to_connection


def execute(*words: Word) -> Instruction[Reply]:
    """Any command, by its words, such as ``execute("GETRANGE", key, 0, 9)``; its reply as it is.

    A status such as OK is a ``str``. A command that changes the state of its connection (MULTI, WATCH, SELECT,
    AUTH, SUBSCRIBE and the like) is refused with ``ValueError``: a client has no connection of its own to keep it on.
    """
    instruction = Instruction(all_encoded(words), _as_it_is)
    if not words or bound_to_connection(instruction.words):
        name = instruction.words[0] if words else b""  # and nothing of what may be a password
        raise ValueError(f"{name!r:.60} cannot be sent alone")
    return instruction


def get(key: Word) -> Instruction[bytes | None]:
    """The value of a key; None if there is none."""
    return Instruction((b"GET", encoded(key)), _value)


def set(
    key: Word,
    value: Word,
    *,
    ex: float | None = None,
    nx: bool = False,
    xx: bool = False,
    ifeq: Word | None = None,
    keepttl: bool = False,
) -> Instruction[bool]:
    """Set a key, which then expires after ``ex`` seconds, or never. Whether it was set, as the condition was met.

    With ``nx`` it is set if it does not exist, with ``xx`` if it does, with ``ifeq`` if this is its value now
    (compare and set). ``keepttl`` leaves its deadline as it is.
    """
    words = [b"SET", encoded(key), encoded(value)]
    words += [b"NX"] * nx + [b"XX"] * xx + [b"KEEPTTL"] * keepttl
    if ifeq is not None:
        words += [b"IFEQ", encoded(ifeq)]
    if ex is not None:
        words += [b"PX", _milliseconds(ex)]
    return Instruction(tuple(words), _is_ok)


def append(key: Word, value: Word) -> Instruction[int]:
    """Append to the value of a key; the new length in bytes."""
    return Instruction((b"APPEND", encoded(key), encoded(value)), _number)


def delete(*keys: Word) -> Instruction[int]:
    """Delete keys; how many of them existed."""
    return Instruction((b"DEL", *all_encoded(keys)), _number)


def exists(*keys: Word) -> Instruction[int]:
    """How many of the keys exist, repeats counted."""
    return Instruction((b"EXISTS", *all_encoded(keys)), _number)


def incr(key: Word, amount: int = 1) -> Instruction[int]:
    """Add to a whole number; the new number. A key that does not exist counts as 0."""
    return Instruction((b"INCRBY", encoded(key), encoded(amount)), _number)


def decr(key: Word, amount: int = 1) -> Instruction[int]:
    """Subtract from a whole number; the new number."""
    return Instruction((b"DECRBY", encoded(key), encoded(amount)), _number)


def getset(key: Word, value: Word) -> Instruction[bytes | None]:
    """Set a key; its old value."""
    return Instruction((b"GETSET", encoded(key), encoded(value)), _value)


def getdel(key: Word) -> Instruction[bytes | None]:
    """Delete a key; its value."""
    return Instruction((b"GETDEL", encoded(key)), _value)


def mget(*keys: Word) -> Instruction[list[bytes | None]]:
    """The values of several keys at one moment; None for each that does not exist."""
    return Instruction((b"MGET", *all_encoded(keys)), _values)


def mset(values: Mapping[str, Word] | Mapping[bytes, Word]) -> Instruction[None]:
    """Set several keys at once."""
    pairs = all_encoded(word for pair in values.items() for word in pair)
    return Instruction((b"MSET", *pairs), _nothing)


def expire(key: Word, seconds: float) -> Instruction[bool]:
    """Let a key expire after some seconds; whether it exists."""
    return Instruction((b"PEXPIRE", encoded(key), _milliseconds(seconds)), _is_one)


def persist(key: Word) -> Instruction[bool]:
    """Remove the deadline of a key; whether it had one."""
    return Instruction((b"PERSIST", encoded(key)), _is_one)


def ttl(key: Word) -> Instruction[float]:
    """The seconds until a key expires; -1.0 if it never does, -2.0 if it does not exist."""
    return Instruction((b"PTTL", encoded(key)), _seconds)


def keys(pattern: Word = b"*") -> Instruction[list[bytes]]:
    """All keys that match a pattern, in the order of their bytes, as they are at one moment.

    A node refuses it where the keys would have more than 32 MiB, or take too long to be looked through.
    """
    return Instruction((b"KEYS", encoded(pattern)), _names)


def _milliseconds(seconds: float) -> bytes:
    return b"%d" % round(seconds * 1000)


def _as_it_is(reply: Reply) -> Reply:
    return reply


def _value(reply: Reply) -> bytes | None:
    if reply is None or isinstance(reply, bytes):
        return reply
    raise unreadable(reply)


def _values(reply: Reply) -> list[bytes | None]:
    if isinstance(reply, list):
        return [_value(each) for each in reply]
    raise unreadable(reply)


def _names(reply: Reply) -> list[bytes]:
    return [each for each in _values(reply) if each is not None]


def _number(reply: Reply) -> int:
    if isinstance(reply, int):
        return reply
    raise unreadable(reply)


def _is_one(reply: Reply) -> bool:
    return _number(reply) == 1


def _seconds(reply: Reply) -> float:
    milliseconds = _number(reply)
    return milliseconds / 1000 if milliseconds >= 0 else float(milliseconds)


def _is_ok(reply: Reply) -> bool:
    if reply is None or reply == "OK":
        return reply == "OK"
    raise unreadable(reply)


def _nothing(reply: Reply) -> None:
    if reply != "OK":
        raise unreadable(reply)
