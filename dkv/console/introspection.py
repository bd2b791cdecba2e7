"""COMMAND, CONFIG GET and HELP, in Redis's words, built from the tables that are in force."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Generic, TypeVar

from dkv.kv import commands
from dkv.records import Entry
from dkv.replies import Local, Nested, Simple
from dkv.settings import Limits

PATTERN_BYTES_MAX = 64
"""No setting has a longer name, so a longer pattern finds nothing."""


Session = TypeVar("Session")


@dataclass(frozen=True, slots=True)
class ConnectionCommand(Generic[Session]):
    """A command that is answered by the connection, without the log; ``words`` as in ``kv.commands.Command``.

    ``answer`` is given the session that the command came in. It may find out that this is a matter for the log after
    all, as a change of members is: then it is the entry.
    """

    name: str
    words: int
    arguments: str
    summary: str
    answer: Callable[[Session, list[bytes]], Entry | Local]
    last_key: int = 0
    writes: bool = False


Described = commands.Command | ConnectionCommand[Any]
Table = Mapping[bytes, Described]


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


def _details(described: Described) -> list[Nested]:
    """Name, arity, flags, first key, last key, step, categories, tips, key specifications, subcommands."""
    flags: list[Nested] = [Simple("write" if described.writes else "readonly" if described.last_key else "fast")]
    first, step = (1, 1) if described.last_key else (0, 0)
    return [described.name.encode(), described.words, flags, first, described.last_key, step, [], [], [], []]


def _docs(described: Described) -> dict[bytes, Nested]:
    docs: dict[bytes, Nested] = {
        b"summary": described.summary.encode(),
        b"since": b"1.0.0",
        b"group": b"string" if described.writes or described.last_key else b"connection",
    }
    if described.arguments:
        text = described.arguments.encode()
        docs[b"arguments"] = [{b"name": text, b"type": b"string", b"display_text": text}]
    return docs
