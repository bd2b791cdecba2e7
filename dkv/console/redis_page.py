"""The page docs/redis.md, written from the declarations of the commands and from the list of differences.

``python -m dkv.console.redis_page > docs/redis.md`` writes it; a test compares.
"""

from __future__ import annotations

from collections.abc import Iterator

from dkv.console.client_session import TABLE
from dkv.console.info import REDIS_VERSION
from dkv.kv.differences import ABSENT, DIFFERENCES
from dkv.kv.registry import Command, Group, Scope
from dkv.security.rights import OWN

_HEADINGS: dict[Group, str] = {
    "string": "Strings",
    "generic": "Keys",
    "transactions": "Transactions",
    "pubsub": "Publish/subscribe",
    "scripting": "Scripts",
    "connection": "The connection",
    "server": "The server",
    "sentinel": "Sentinel",
    "dkv": "What Redis does not have",
}

_INTRODUCTION = f"""\
# What dkv has of Redis

This page is written by `python -m dkv.console.redis_page`, from the declarations of the commands in the code. It lists
every command, every reply that differs from that of Redis, and what is not there.

A command below is answered as Redis answers it: the same reply to the byte, in RESP 2 and in RESP 3, the same errors,
and the same effect on the keys. Where an answer differs, the [differences](#differences) say so. A test sends random
requests to dkv and to a real server, and fails on each difference that is not in that list
([the oracle](../CONTRIBUTING.md#the-oracle)). dkv says that it is version {REDIS_VERSION} of Redis, so
clients that look at the number find the commands they expect.

*Right* is the category that a user must be allowed ([permissions](security.md#permissions)); `-` is for everybody.

What holds for every command is on [What clients see](protocol.md): order, errors, tokens and limits. What expiry, locks
and transactions promise is on [guarantees.md](guarantees.md).
"""

_DIFFERENCES = """\
## Differences

A limit of dkv has an error of its own, which names the setting ([protocol.md](protocol.md#limits)): 10,000 words to a
request and 10,000 requests to a transaction, say. So has a state in which a node cannot serve, such as `TRYAGAIN` and
`CLUSTERDOWN`. In a transaction `KEYS` looks at fewer than 2,000 keys, and `SCAN` is refused. The rest is in this table.

| Command | What differs | Why | Example |
|---|---|---|---|"""

_ABSENT = """\
## What is not there

These are refused as unknown commands, and nothing is half done. A command that is in no list is not there either.

| Words | Why |
|---|---|"""


def page() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *_commands(), *_differences(), *_absent()])


def _commands() -> Iterator[str]:
    for group, heading in _HEADINGS.items():
        commands = [each for command in TABLE.values() for each in _each(command) if each.group == group]
        yield f"## {heading}\n"
        yield "| Command | What it does | Right | Since |\n|---|---|---|---|"
        for command in sorted(commands, key=lambda each: each.name):
            name = command.name.replace("|", " ").upper()
            form = _code(f"{name} {command.arguments}".strip())
            yield f"| {form} | {_text(command.summary)} | {_right(command)} | {command.since} |"
        yield ""


def _right(command: Command) -> str:
    """What a user must be allowed to do."""
    right = " or ".join(["-" if each == OWN else each for each in command.categories])
    return f"{right}, all keys" if command.keys in (Scope.DATABASE, Scope.EVERYTHING) else right


def _each(command: Command) -> tuple[Command, ...]:
    return command.subcommands or (command,)


def _differences() -> Iterator[str]:
    yield _DIFFERENCES
    for each in DIFFERENCES:
        names = ", ".join(_code(name.replace("|", " ").upper()) for name in each.commands) or "all"
        example = ", ".join(map(_code, each.example))
        yield f"| {names} | {_text(each.what)} | {_text(each.reason)} | {example} |"
    yield ""


def _absent() -> Iterator[str]:
    yield _ABSENT
    for words, reason in ABSENT:
        yield f"| {', '.join(map(_code, words))} | {_text(reason)} |"
    yield ""


def _code(text: str) -> str:
    return f"`{_text(text)}`"


def _text(text: str) -> str:
    """The text for a cell of a table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
