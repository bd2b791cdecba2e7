"""COMMAND and HELP, in Redis's words, built from the table of commands that is in force."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from dkv.console.client_state import ClientState
from dkv.console.declaring import SYNTAX, ClientWord, container, help_of, quoted, word
from dkv.kv.glob import PATTERN_BYTES_MAX, Glob
from dkv.kv.registry import NO_CHANNELS, NO_KEYS, BadRequest, Command, Group, KeySpec, Scope
from dkv.replies import Local, Nested, SetOf, Simple

Table = Mapping[bytes, Command]
"""The commands by name, in lower case."""

FORM_CHARACTERS_MAX = 40
"""How much of a command's form HELP shows."""

_COLON = re.compile("[;:]")

_CATEGORY_OF_GROUP: dict[Group, str] = {
    "string": "string",
    "generic": "keyspace",
    "connection": "connection",
    "transactions": "transaction",
    "pubsub": "pubsub",
    "scripting": "scripting",
}


def help_lines(table: Table) -> list[Simple]:
    """A line for each command. Lines without CR or LF read well both in telnet and in redis-cli.

    A long form is cut, and a summary is told up to its first semicolon or colon: COMMAND DOCS has the whole.
    """
    forms = [(_form(known), _COLON.split(known.summary)[0].removesuffix(".") + ".") for known in table.values()]
    width = max(len(form) for form, _ in forms)
    intro = 'Commands may be typed in either case. Quote what has spaces: PUT greeting "hello world"'
    return [Simple(intro), *(Simple(f"{form:<{width}}  {summary}") for form, summary in forms)]


def help_about(table: Table, names: list[bytes]) -> list[Simple]:
    """The whole form and summary of a command, which has one name, and a second one if it is a subcommand."""
    command = _named(table, b"|".join(names))
    if command is None:
        raise BadRequest(f"ERR unknown command '{quoted(b' '.join(names))}': HELP alone lists all commands")
    if command.subcommands:
        return help_of(command)
    name = command.name.replace("|", " ").upper()
    return [Simple(f"{name} {command.arguments}".strip()), Simple(f"    {command.summary}")]


def _form(command: Command) -> str:
    form = f"{command.name.upper()} {command.arguments}".strip()
    return form if len(form) <= FORM_CHARACTERS_MAX else form[: FORM_CHARACTERS_MAX - 3].rsplit(" ", 1)[0] + " ..."


def command_info(table: Table, names: Iterable[bytes]) -> list[Nested]:
    """COMMAND INFO: Redis's facts about each command, or nil for a name that is not a command."""
    found = (_named(table, name) for name in names)
    return [None if command is None else _details(command) for command in found]


def command_docs(table: Table, names: Iterable[bytes]) -> dict[bytes, Nested]:
    """COMMAND DOCS: by name, for the names that are commands."""
    found = ((name.lower(), _named(table, name)) for name in names)
    return {name: _docs(command) for name, command in found if command is not None}


def command_list(table: Table, filters: list[bytes]) -> list[Nested]:
    """COMMAND LIST: the names of all commands and subcommands, or those that ``FILTERBY kind value`` leaves."""
    match [word.lower() for word in filters]:
        case []:
            return [command.name.encode() for command in _all(table)]
        case [b"filterby", b"module", _]:
            return []
        case [b"filterby", b"aclcat", category]:
            wanted = category.decode("utf-8", "replace")
            return [command.name.encode() for command in _all(table) if wanted in _categories(command)]
        case [b"filterby", b"pattern", pattern]:
            if len(pattern) > PATTERN_BYTES_MAX:
                return []
            glob = Glob(pattern)
            return [name for command in _all(table) if glob.matches(name := command.name.encode())]
    raise BadRequest(SYNTAX)


def command_keys(table: Table, words: list[bytes]) -> list[Nested]:
    """COMMAND GETKEYS: the keys in a request."""
    command = table.get(words[0].lower())
    subcommand = None
    if command is not None and command.subcommands and len(words) > 1:
        subcommand = command.subcommand(words[1])
        if subcommand is None:
            command = None
    if command is None:
        raise BadRequest("ERR Invalid command specified")
    if not (subcommand or command).takes(len(words)):
        raise BadRequest("ERR Invalid number of arguments specified for command")
    keys: list[Nested] = [words[position] for position in command.key_positions(words)]
    may_have_none = command.group == "scripting" and not command.subcommands  # a script
    if not keys and not may_have_none:
        raise BadRequest("ERR The command has no key arguments")
    return keys


def words_about(table: Table) -> tuple[ClientWord, ...]:
    """COMMAND and HELP, about the commands of ``table``, which may still grow."""

    def answer_help(client: ClientState, words: list[bytes]) -> Local:
        return Local([*(help_about(table, words[1:]) if len(words) > 1 else help_lines(table))])

    def answer_all(client: ClientState, words: list[bytes]) -> Local:
        return Local(command_info(table, table))

    def answer_count(client: ClientState, words: list[bytes]) -> Local:
        return Local(len(table))

    def answer_docs(client: ClientState, words: list[bytes]) -> Local:
        return Local(command_docs(table, words[2:] or table))

    def answer_keys(client: ClientState, words: list[bytes]) -> Local:
        return Local(command_keys(table, words[2:]))

    def answer_info(client: ClientState, words: list[bytes]) -> Local:
        return Local(command_info(table, words[2:] or table))

    def answer_list(client: ClientState, words: list[bytes]) -> Local:
        return Local(command_list(table, words[2:]))

    subcommands = (
        ("count", 2, answer_count, "2.8.13", "", "How many commands there are."),
        ("docs", -2, answer_docs, "7.0.0", "[name ...]", "What commands are for."),
        ("getkeys", -3, answer_keys, "2.8.13", "command [argument ...]", "The keys in a request."),
        ("info", -2, answer_info, "2.8.13", "[name ...]", "Arity, flags and keys of commands."),
        ("list", -2, answer_list, "7.0.0", "[FILTERBY MODULE|ACLCAT|PATTERN value]", "The names of commands."),
    )
    return (
        word(
            "help",
            -1,
            answer_help,
            category="connection",
            keys=NO_KEYS,
            channels=NO_CHANNELS,
            group="dkv",
            since="0.1.0",
            arguments="[command [subcommand]]",
            summary="These lines, or all that is to say of one command.",
        ),
        container(
            "command",
            [
                word(
                    f"command|{name}",
                    arity,
                    answer,
                    category="connection",
                    keys=NO_KEYS,
                    channels=NO_CHANNELS,
                    group="server",
                    since=since,
                    arguments=form,
                    summary=summary,
                )
                for name, arity, answer, since, form, summary in subcommands
            ],
            alone=answer_all,
            group="server",
            since="2.8.13",
            summary="About the commands.",
        ),
    )


def _named(table: Table, name: bytes) -> Command | None:
    """A command, or a subcommand by a name like ``client|id``."""
    first, bar, second = name.lower().partition(b"|")
    command = table.get(first)
    return command if command is None or not bar else command.subcommand(second)


def _all(table: Table) -> Iterator[Command]:
    for command in table.values():
        yield command
        yield from command.subcommands


def _categories(command: Command) -> list[str]:
    """The categories of a command, as Redis's access control lists have them."""
    found = [name for flag, name in (("write", "write"), ("readonly", "read")) if flag in command.flags]
    if "admin" in command.flags:
        found += ["admin", "dangerous"]
    if command.group in _CATEGORY_OF_GROUP:
        found.append(_CATEGORY_OF_GROUP[command.group])
    return [*found, "fast" if "fast" in command.flags else "slow"]


def _details(command: Command) -> list[Nested]:
    """Name, arity, flags, first key, last key, step, categories, tips, key specifications, subcommands."""
    flags: list[Nested] = [Simple(flag) for flag in command.flags]
    first = last = step = 0
    specifications: list[Nested] = []
    if not isinstance(command.keys, KeySpec | Scope):
        flags.append(Simple("movablekeys"))
    elif isinstance(command.keys, KeySpec) and command.keys != NO_KEYS:
        first, last, step = command.keys.first, command.keys.last, command.keys.step
        specifications.append(_specification(command.keys, "write" in command.flags))
    categories: list[Nested] = [Simple(f"@{name}") for name in _categories(command)]
    return [
        command.name.encode(),
        command.arity,
        SetOf(flags),
        first,
        last,
        step,
        SetOf(categories),
        SetOf([]),
        SetOf(specifications),
        [_details(each) for each in command.subcommands],
    ]


def _specification(keys: KeySpec, writes: bool) -> dict[bytes, Nested]:
    """Where the keys are, once more, as Redis says it from version 7 on."""
    flags = ("RW", "access", "update") if writes else ("RO", "access")
    last = keys.last - keys.first if keys.last >= 0 else keys.last
    return {
        b"flags": SetOf([Simple(flag) for flag in flags]),
        b"begin_search": {b"type": b"index", b"spec": {b"index": keys.first}},
        b"find_keys": {b"type": b"range", b"spec": {b"lastkey": last, b"keystep": keys.step, b"limit": 0}},
    }


def _docs(command: Command) -> dict[bytes, Nested]:
    docs: dict[bytes, Nested] = {
        b"summary": command.summary.encode(),
        b"since": command.since.encode(),
        b"group": command.group.encode(),
        b"complexity": command.complexity.encode(),
    }
    if command.arguments and not command.subcommands:
        text = command.arguments.encode()
        docs[b"arguments"] = [{b"name": text, b"type": b"string", b"display_text": text}]
    if command.subcommands:
        docs[b"subcommands"] = {each.name.encode(): _docs(each) for each in command.subcommands}
    return docs
