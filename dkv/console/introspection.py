"""COMMAND, CONFIG GET and HELP, in Redis's words, built from the tables that are in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from dkv.kv.registry import NO_KEYS, Command, KeySpec
from dkv.replies import Nested, Simple
from dkv.settings import Limits

PATTERN_BYTES_MAX = 64
"""No setting has a longer name, so a longer pattern finds nothing."""


Table = Mapping[bytes, Command]
"""The commands by name, in lower case."""


def help_lines(table: Table) -> list[Simple]:
    """A line for each command. Lines without CR or LF read well both in telnet and in redis-cli."""
    forms = [(f"{known.name.upper()} {known.arguments}".strip(), known.summary) for known in table.values()]
    width = max(len(form) for form, _ in forms)
    intro = 'Commands may be typed in either case. Quote what has spaces: PUT greeting "hello world"'
    return [Simple(intro), *(Simple(f"{form:<{width}}  {summary}") for form, summary in forms)]


def command_info(table: Table, names: Iterable[bytes]) -> list[Nested]:
    """COMMAND INFO: Redis's facts about each command, or nil for a name that is not a command."""
    found = (table.get(name.lower()) for name in names)
    return [None if described is None else _details(described) for described in found]


def command_docs(table: Table, names: Iterable[bytes]) -> dict[bytes, Nested]:
    """COMMAND DOCS: by name, for the names that are commands."""
    return {name.lower(): _docs(table[name.lower()]) for name in names if name.lower() in table}


def config_get(limits: Limits, connections_max: int, patterns: Iterable[bytes]) -> dict[bytes, Nested]:
    """CONFIG GET: the settings that have a name in Redis and match one of ``patterns``.

    ``connections_max`` is that of the limits, or fewer if the limit of open files allows fewer.
    """
    settings = {
        "appendfsync": "always",
        "appendonly": "yes",
        "databases": "1",
        "maxclients": str(connections_max),
        "proto-max-bulk-len": str(limits.value_bytes_max),
        "save": "",
    }
    wanted = [pattern.decode("utf-8", "replace").lower() for pattern in patterns if len(pattern) <= PATTERN_BYTES_MAX]
    return {
        name.encode(): value.encode()
        for name, value in settings.items()
        if any(fnmatchcase(name, pattern) for pattern in wanted)
    }


def _details(command: Command) -> list[Nested]:
    """Name, arity, flags, first key, last key, step, categories, tips, key specifications, subcommands."""
    flags: list[Nested] = [Simple(flag) for flag in command.flags if flag != "no_multi"]
    first = last = step = 0
    if not isinstance(command.keys, KeySpec):
        flags.append(Simple("movablekeys"))
    elif command.keys != NO_KEYS:
        first, last, step = command.keys.first, command.keys.last, command.keys.step
    return [command.name.encode(), command.arity, flags, first, last, step, [], [], [], []]


def _docs(command: Command) -> dict[bytes, Nested]:
    docs: dict[bytes, Nested] = {
        b"summary": command.summary.encode(),
        b"since": command.since.encode(),
        b"group": command.group.encode(),
        b"complexity": command.complexity.encode(),
    }
    if command.arguments:
        text = command.arguments.encode()
        docs[b"arguments"] = [{b"name": text, b"type": b"string", b"display_text": text}]
    return docs
