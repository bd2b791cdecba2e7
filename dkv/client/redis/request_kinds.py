"""Which requests are writes, and so carry a token, and which may be sent twice without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from dkv.client.outcome import READS
from dkv.kv.codes import WRITES
from dkv.kv.commands import COMMANDS, interpret
from dkv.kv.registry import Context
from dkv.replies import LogRequest
from dkv.settings import Limits

HARMLESS = READS | frozenset(b"CLIENT HELLO LATENCY PUBSUB ROLE SCRIPT SENTINEL UNWATCH WAIT WAITAOF WATCH".split())
"""What changes no data, or the same way each time."""

Encode = Callable[[Any], bytes]


class Kind(Enum):
    """What happens to a request that has no answer."""

    WRITE = "it carries a token, and is sent again with it"
    READ = "it is sent again"
    OTHER = "it is not sent again: it may have been executed, and nobody could tell it from its repeat"


def kind_of(arguments: Sequence[Any], encode: Encode) -> Kind:
    """The kind of a request as a program gives it to redis-py; ``encode`` makes bytes of a word."""
    name, *rest = encode(arguments[0]).split() or [b""]
    command = COMMANDS.get(name.lower())
    if command is None or command.name == "idmp":
        return Kind.READ if name.upper() in HARMLESS else Kind.OTHER
    writes = WRITES.intersection(command.codes)
    if len(writes) == len(command.codes):
        return Kind.WRITE
    if not writes:
        return Kind.READ
    return _kind_of_entry([name, *rest, *map(encode, arguments[1:])])


def _kind_of_entry(words: list[bytes]) -> Kind:
    """The kind of a request whose command writes in some of its forms."""
    entry = interpret(words, Context(Limits()))
    if isinstance(entry, LogRequest):
        entry = entry.entry
    return Kind.READ if isinstance(entry, list) and entry[0] not in WRITES else Kind.WRITE
