"""How the commands that a connection answers are declared, and what those with subcommands have in common.

Which words are refused, and in which words, is the same for all: as in Redis.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from dkv.console.client_state import ClientState
from dkv.kv.registry import (
    NO_CHANNELS,
    NO_KEYS,
    BadRequest,
    Category,
    Channels,
    Command,
    ConnectionCommand,
    Flag,
    Group,
    Keys,
    refused_subcommand,
    wrong_number_of_arguments,
)
from dkv.replies import Error, Local, Meaning, Simple

QUOTED_BYTES_MAX = 128
"""How much of a client's own words an error quotes, as in Redis."""

SYNTAX = "ERR syntax error"
Answer = Callable[[ClientState, list[bytes]], Meaning]
ClientWord = ConnectionCommand[ClientState]

_HELP = b"help"
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")


def word(
    name: str,
    arity: int,
    answer: Answer,
    *,
    category: Category,
    keys: Keys,
    channels: Channels,
    group: Group,
    since: str,
    arguments: str = "",
    summary: str,
    flags: Iterable[Flag] = ("loading", "stale"),
    complexity: str = "O(1)",
    subcommands: tuple[Command, ...] = (),
) -> ClientWord:
    """A command that the connection or its node answers."""
    return ConnectionCommand(
        name=name,
        arity=arity,
        keys=keys,
        channels=channels,
        category=category,
        flags=tuple(flags),
        group=group,
        since=since,
        arguments=arguments,
        summary=summary,
        complexity=complexity,
        subcommands=subcommands,
        answer=answer,
    )


def container(
    name: str,
    subcommands: Iterable[ClientWord],
    *,
    alone: Answer | None = None,
    group: Group,
    since: str,
    summary: str,
) -> ClientWord:
    """A command that is nothing without its subcommands, except that ``alone`` answers where it is given.

    Each subcommand has its own category; what ``alone`` and HELP tell, every client may know.
    """

    def answer_help(client: ClientState, words: list[bytes]) -> Local:
        return Local([*help_of(command)])

    prints = word(
        f"{name}|help",
        2,
        answer_help,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group=group,
        since="5.0.0",
        summary="Print this help.",
    )
    all_of_them = (*subcommands, prints)
    by_name = {each.name.partition("|")[2].encode(): each for each in all_of_them}

    def answer(client: ClientState, words: list[bytes]) -> Meaning:
        if alone is not None and len(words) == 1:
            return alone(client, words)
        return by_name[words[1].lower()].answer(client, words)

    command = word(
        name,
        -2 if alone is None else -1,
        answer,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group=group,
        since=since,
        arguments="subcommand ..." if alone is None else "[subcommand ...]",
        summary=summary,
        complexity="Depends on subcommand",
        subcommands=all_of_them,
    )
    return command


def help_of(command: Command) -> list[Simple]:
    """What HELP behind a command with subcommands answers."""
    title = f"{command.name.upper()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    lines = [title]
    for each in command.subcommands:
        lines += [f"{each.name.partition('|')[2].upper()} {each.arguments}".strip(), f"    {each.summary}"]
    return [Simple(line) for line in lines]


def asks_for_help(command: Command, words: list[bytes]) -> bool:
    """Whether the words ask what subcommands there are."""
    return bool(command.subcommands) and len(words) == 2 and words[1].lower() == _HELP


def refusal_of(command: Command, words: list[bytes]) -> Error | None:
    """Why a request is refused before anybody looks at what it says: its number of words, or its subcommand."""
    if not command.takes(len(words)):
        return wrong_number_of_arguments(command.name)
    if not command.subcommands or len(words) == 1 or asks_for_help(command, words):
        return None
    subcommand = command.subcommand(words[1])
    is_right = subcommand is not None and subcommand.takes(len(words))
    return None if is_right else refused_subcommand(command, words[1])


def unknown(words: list[bytes]) -> Error:
    """Redis's error for an unknown command; it quotes the beginning of the request."""
    beginning, room = "", QUOTED_BYTES_MAX
    for each in words[1:]:
        if room <= 0:
            break
        beginning += f"'{quoted(each[:room])}' "
        room -= len(each) + 3
    return Error(f"ERR unknown command '{quoted(words[0])}', with args beginning with: {beginning}")


def quoted(text: bytes) -> str:
    """A client's own word, cut: it may have put anything there."""
    return text[:QUOTED_BYTES_MAX].decode("utf-8", "backslashreplace")


def whole(text: bytes, refusal: str = "ERR value is not an integer or out of range") -> int:
    """A word as a whole number of 64 bits, written as Redis writes it; ``BadRequest`` if it is none."""
    number = int(text) if _INTEGER.fullmatch(text) else None
    if number is None or not -(2**63) <= number < 2**63:
        raise BadRequest(refusal)
    return number
