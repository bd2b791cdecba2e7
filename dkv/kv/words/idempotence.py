"""IDMP: a write with a token, which happens once, however often it is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from dkv.kv.codes import IDMP, IDMP_NEW, WRITES
from dkv.kv.registry import BadRequest, Context, LogCommand, wrong_number_of_arguments
from dkv.kv.sessions import OP_MAX, PRODUCER_BYTES_MAX
from dkv.records import Entry
from dkv.replies import Error, LogRequest

NEW_PRODUCER = re.compile(rb"#[1-9][0-9]*\.[0-9]+")
"""The form of a name that IDMP NEW answers: ``#<slot>.<index in slot>``."""

_OP = re.compile(rb"[1-9][0-9]{0,18}")
_TOKEN_WORDS = 3  # IDMP itself, the producer and the op

Interpret = Callable[[list[bytes], Context], Entry | LogRequest | Error | None]


def token_of(words: list[bytes]) -> tuple[bytes, int]:
    """The producer and the op of ``IDMP producer op write ...``."""
    if len(words) <= _TOKEN_WORDS:
        raise BadRequest(wrong_number_of_arguments("idmp").text)
    _, producer, op, *_ = words
    if not 1 <= len(producer) <= PRODUCER_BYTES_MAX:
        raise BadRequest(f"ERR the producer has {len(producer)} bytes; 1 to {PRODUCER_BYTES_MAX} are allowed")
    if producer.startswith(b"#") and not NEW_PRODUCER.fullmatch(producer):
        raise BadRequest("ERR only what IDMP NEW answered may begin with '#': name another producer")
    if not _OP.fullmatch(op) or int(op) > OP_MAX:
        raise BadRequest(f"ERR the op id must be a whole number from 1 to {OP_MAX}")
    return producer, int(op)


def idmp(commands: Mapping[bytes, LogCommand], interpret: Interpret) -> LogCommand:
    """The command, for writes among ``commands``, which ``interpret`` reads."""

    def build(words: list[bytes], context: Context) -> Entry:
        if len(words) == 2 and words[1].lower() == b"new":
            return [IDMP_NEW]
        producer, op = token_of(words)
        write = words[_TOKEN_WORDS:]
        entry = None if write[0].lower() == b"idmp" else interpret(write, context)
        if type(entry) is LogRequest:
            entry = entry.entry
        if type(entry) is Error:
            raise BadRequest(entry.text)
        if type(entry) is not list or entry[0] not in WRITES:
            raise BadRequest("ERR IDMP takes a write command after producer and op id, as in IDMP alice 7 APPEND k v")
        return [IDMP, producer, op, entry]

    def nested(words: list[bytes]) -> list[bytes]:
        return words[_TOKEN_WORDS:]

    def keys(words: list[bytes]) -> Iterable[int]:
        write = nested(words)
        command = commands.get(write[0].lower()) if write else None
        if command is None or command.name == "idmp" or not command.takes(len(write)):
            return []
        return [_TOKEN_WORDS + position for position in command.key_positions(write)]

    return LogCommand(
        name="idmp",
        arity=-2,
        keys=keys,
        category="write",
        flags=("write", "no_multi"),
        group="dkv",
        since="0.1.0",
        arguments="producer op write ...|NEW",
        summary="A write that happens once, however often it is sent.",
        complexity="That of the write",
        nested=nested,
        codes=(IDMP, IDMP_NEW),
        build=build,
    )
