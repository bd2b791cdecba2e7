"""The commands that travel through the log: the words of a client, and the entry that is proposed for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dkv.kv.codes import (
    APPEND,
    DELETE,
    GET,
    IDMP,
    IDMP_NEW,
    IDMP_REPEAT,
    IDMP_UNCHECKED,
    MEMBERS,
    PUT,
    WRITES,
)
from dkv.kv.membership import describe_change
from dkv.kv.sessions import OP_MAX, PRODUCER_BYTES_MAX
from dkv.records import Entry, UncheckedEntry
from dkv.replies import Error
from dkv.settings import Limits

_OP = re.compile(rb"[1-9][0-9]{0,18}")

WORD_BYTES_MAX = 64
"""How many bytes of a refused option are quoted."""

NEW_PRODUCER = re.compile(rb"#[1-9][0-9]*\.[0-9]+")
"""The form of a name that IDMP NEW answers: ``#<slot>.<index in slot>``."""


def takes(arity: int, words: int) -> bool:
    """Whether a command takes so many words, its name included: an arity of n means n words, -n means n or more."""
    return words == arity if arity > 0 else words >= -arity


@dataclass(frozen=True, slots=True)
class Command:
    """A command as clients know it.

    ``words`` is its arity (``takes``). ``last_key`` is the index of the last word that is a key, where the name has
    index 0 (-1: all words to the end; 0: no key has a fixed place). ``build`` makes the entry.
    """

    name: str
    words: int
    last_key: int
    arguments: str
    summary: str
    build: Callable[[list[bytes], Limits], Entry | Error]
    writes: bool = True


def _put(words: list[bytes], limits: Limits) -> Entry | Error:
    if len(words) > 3:
        name, option = (_shown(word) for word in (words[0], words[3]))
        return Error(f"ERR {name} takes no options in dkv: {option}")
    _, key, value = words
    if len(key) > limits.key_bytes_max:
        return _key_too_long(key, limits)
    if len(value) > limits.value_bytes_max:
        return _value_too_long(value, limits)
    return [PUT, key, value]


def _append(words: list[bytes], limits: Limits) -> Entry | Error:
    _, key, suffix = words
    if len(key) > limits.key_bytes_max:
        return _key_too_long(key, limits)
    if len(suffix) > limits.value_bytes_max:
        return _value_too_long(suffix, limits)
    return [APPEND, key, suffix, limits.value_bytes_max]


def _delete(words: list[bytes], limits: Limits) -> Entry | Error:
    keys = words[1:]
    for key in keys:
        if len(key) > limits.key_bytes_max:
            return _key_too_long(key, limits)
    return [DELETE, *keys]


def _get(words: list[bytes], limits: Limits) -> Entry | Error:
    key = words[1]
    if len(key) > limits.key_bytes_max:
        return _key_too_long(key, limits)
    return [GET, key]


def _idmp(words: list[bytes], limits: Limits) -> Entry | Error:
    if len(words) == 2 and words[1].lower() == b"new":
        return [IDMP_NEW]
    if len(words) < 4:
        return wrong_number_of_arguments("idmp")
    _, producer, op, *write = words
    if not 1 <= len(producer) <= PRODUCER_BYTES_MAX:
        return Error(f"ERR the producer has {len(producer)} bytes; 1 to {PRODUCER_BYTES_MAX} are allowed")
    if producer.startswith(b"#") and not NEW_PRODUCER.fullmatch(producer):
        return Error("ERR only what IDMP NEW answered may begin with '#': name another producer")
    if not _OP.fullmatch(op) or int(op) > OP_MAX:
        return Error(f"ERR the op id must be a whole number from 1 to {OP_MAX}")
    entry = None if write[0].lower() == b"idmp" else interpret(write, limits)
    if type(entry) is Error:
        return entry
    if type(entry) is not list or entry[0] not in WRITES:
        return Error("ERR IDMP takes a write command behind producer and op id, as in IDMP alice 7 APPEND k v")
    return [IDMP, producer, int(op), entry]


def _shown(word: bytes) -> str:
    """A command or option, written as on Redis's pages, and cut: a client may have put anything there."""
    return word[:WORD_BYTES_MAX].upper().decode("utf-8", "backslashreplace")


def _key_too_long(key: bytes, limits: Limits) -> Error:
    return Error(f"ERR the key has {len(key)} bytes, limits.key_bytes_max is {limits.key_bytes_max}")


def _value_too_long(value: bytes, limits: Limits) -> Error:
    return Error(f"ERR the value has {len(value)} bytes, limits.value_bytes_max is {limits.value_bytes_max}")


def _table(commands: Iterable[Command]) -> dict[bytes, Command]:
    return {command.name.encode(): command for command in commands}


COMMANDS = _table(
    (
        Command("put", -3, 1, "key value", "Set a key to a value.", _put),
        Command("set", -3, 1, "key value", "Set a key to a value.", _put),
        Command("get", 2, 1, "key", "The value of a key, or nil.", _get, writes=False),
        Command("append", 3, 1, "key value", "Append to the value of a key; its new length.", _append),
        Command("delete", -2, -1, "key [key ...]", "Delete keys; how many existed.", _delete),
        Command("del", -2, -1, "key [key ...]", "Delete keys; how many existed.", _delete),
        Command("idmp", -2, 0, "producer op write ...|NEW", "A write that happens once, however often sent.", _idmp),
    )
)


def interpret(words: list[bytes], limits: Limits) -> Entry | Error | None:
    """The entry for a request, or the error that refuses it; None if its first word is not a command of the log."""
    command = COMMANDS.get(words[0].lower())
    if command is None:
        return None
    arity = command.words
    if len(words) != arity and (arity > 0 or len(words) < -arity):  # ``takes`` is the law: written out for speed
        return wrong_number_of_arguments(command.name)
    return command.build(words, limits)


_NAMES = {PUT: b"PUT", APPEND: b"APPEND", DELETE: b"DELETE", GET: b"GET", MEMBERS: b"MEMBERS"}
_NAMES |= dict.fromkeys((IDMP, IDMP_UNCHECKED, IDMP_NEW, IDMP_REPEAT), b"IDMP")


def describe(entry: UncheckedEntry) -> list[bytes]:
    """An entry of the log in the words that a client would type; ``?`` if it is no entry."""
    match entry:
        case [kind, *_] if type(kind) is not int or kind not in _NAMES:
            return [b"?"]
        case [code, bytes() as producer, int() as op, [*write]] if code in (IDMP, IDMP_UNCHECKED):
            return [b"IDMP", producer, b"%d" % op, *describe(write)]
        case [code, bytes() as producer, int() as op, bytes()] if code == IDMP_REPEAT:
            return [b"IDMP", producer, b"%d" % op, b"?"]
        case [code] if code == IDMP_NEW:
            return [b"IDMP", b"NEW"]
        case [code, *_] if code == MEMBERS:
            return [b"MEMBERS", *describe_change(entry)]
        case [code, bytes() as key, bytes() as suffix, int()] if code == APPEND:
            return [b"APPEND", key, suffix]
        case [code, *arguments] if code in (PUT, DELETE, GET) and arguments:
            words = [word for word in arguments if type(word) is bytes]
            if len(words) == len(arguments):
                return [_NAMES[code], *words]
    return [b"?"]


def wrong_number_of_arguments(name: str) -> Error:
    """Redis's refusal of a command with too few or too many arguments."""
    return Error(f"ERR wrong number of arguments for '{name}' command")
