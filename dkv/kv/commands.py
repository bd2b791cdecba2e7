"""The commands that travel through the log: what a client types, and the entry that is proposed for it.

====================================== ==========================================================
entry                                  meaning
====================================== ==========================================================
``[PUT, key, value]``                  set
``[APPEND, key, suffix, bytes_max]``   append, if the value then has at most ``bytes_max`` bytes
``[DELETE, key, ...]``                 delete; counts those that existed
``[GET, key]``                         read
====================================== ==========================================================

The numbers are part of the stored format: an entry of the log keeps its meaning for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from dkv.replies import Error
from dkv.settings import Limits

PUT, APPEND, DELETE, GET = 1, 2, 3, 4

READS = frozenset({GET})
"""The entries that change nothing."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command as clients know it.

    ``words`` counts the words of a request, the name included; -n means n or more, as in Redis. ``last_key`` is the
    index of the last word that is a key (-1: up to the end); the first is 1. ``build`` makes the entry.
    """

    name: str
    words: int
    last_key: int
    arguments: str
    summary: str
    build: Callable[[list[bytes], Limits], list[Any] | Error]
    writes: bool = True


def _put(words: list[bytes], limits: Limits) -> list[Any] | Error:
    if len(words) > 3:
        return Error("ERR syntax error")
    _, key, value = words
    if len(key) > limits.key_bytes_max:
        return _key_too_long(key, limits)
    if len(value) > limits.value_bytes_max:
        return _value_too_long(value, limits)
    return [PUT, key, value]


def _append(words: list[bytes], limits: Limits) -> list[Any] | Error:
    _, key, suffix = words
    if len(key) > limits.key_bytes_max:
        return _key_too_long(key, limits)
    if len(suffix) > limits.value_bytes_max:
        return _value_too_long(suffix, limits)
    return [APPEND, key, suffix, limits.value_bytes_max]


def _delete(words: list[bytes], limits: Limits) -> list[Any] | Error:
    keys = words[1:]
    for key in keys:
        if len(key) > limits.key_bytes_max:
            return _key_too_long(key, limits)
    return [DELETE, *keys]


def _get(words: list[bytes], limits: Limits) -> list[Any] | Error:
    key = words[1]
    if len(key) > limits.key_bytes_max:
        return _key_too_long(key, limits)
    return [GET, key]


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
    )
)


def interpret(words: list[bytes], limits: Limits) -> list[Any] | Error | None:
    """The entry that a request asks for, or why it is refused; None if its first word is no command of the log."""
    command = COMMANDS.get(words[0].lower())
    if command is None:
        return None
    count = command.words
    if len(words) != count and (count > 0 or len(words) < -count):
        return wrong_number_of_arguments(command.name)
    return command.build(words, limits)


def wrong_number_of_arguments(name: str) -> Error:
    """Redis's refusal of a command with too few or too many arguments."""
    return Error(f"ERR wrong number of arguments for '{name}' command")
