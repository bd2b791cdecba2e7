"""The table of the commands that travel through the log, and what a request becomes by it."""

from __future__ import annotations

from dkv.kv.registry import BadRequest, Context, LogCommand, table, wrong_number_of_arguments
from dkv.kv.words import all_keys, lifetimes, many, numbers, scripting, strings, whole_keys
from dkv.kv.words.idempotence import idmp
from dkv.records import Entry
from dkv.replies import Error, LogRequest

COMMANDS: dict[bytes, LogCommand] = table(
    strings.COMMANDS,
    numbers.COMMANDS,
    many.COMMANDS,
    lifetimes.COMMANDS,
    whole_keys.COMMANDS,
    all_keys.COMMANDS,
    scripting.COMMANDS,
)
"""All of them, by name in lower case."""


def interpret(words: list[bytes], context: Context) -> Entry | LogRequest | Error | None:
    """The entry for a request, or the error that refuses it; None if its first word is not a command of the log."""
    command = COMMANDS.get(words[0].lower())
    if command is None:
        return None
    arity = command.arity
    if len(words) != arity and (arity > 0 or len(words) < -arity):  # ``takes`` is the law: written out for speed
        return wrong_number_of_arguments(command.name)
    try:
        return command.build(words, context)
    except BadRequest as refused:
        return Error(str(refused))


COMMANDS |= table([idmp(COMMANDS, interpret)])
