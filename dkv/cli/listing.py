"""``dkv keys`` and ``dkv scan``: the names of keys."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import click

from dkv.cli.access import Access, access, statuses
from dkv.cli.asking import not_understood, one_node, patiently
from dkv.cli.data import word_bytes
from dkv.cli.output import Status, answer, bytes_field, counted, emit, escaped_word
from dkv.cli.types import Whole
from dkv.cli.waiting import for_answer
from dkv.client.blocking import Connection, Reply

SCAN_COUNT = 1_000
"""How many keys a node looks at for one answer; more it does not do at once."""

HOW = """A pattern has * for any bytes, ? for one, [a-c] for one of several, and \\ in front of what stands for itself.

    Each key has a line. A key that is not printable text, or begins with $', is printed as a shell reads it:
    $'a\\x0ab'. With --null each key is printed byte for byte, followed by a zero byte, as xargs -0 wants it:

    \b
      dkv keys 'old:*' --null | xargs -0 dkv delete --"""

null = click.option("--null", "-0", is_flag=True, help="Print keys byte for byte, each followed by a zero byte.")


@click.command(
    short_help="Print all keys that match a pattern.",
    help=f"""Print the keys that match PATTERN, or all, as they are at one moment.

    A database that has too many for one answer is refused; then use dkv scan. {HOW}""",
    epilog=statuses("absent: no key matches"),
)
@click.argument("pattern", default="*", callback=word_bytes)
@null
@access
def keys(to: Access, pattern: bytes, null: bool) -> int:
    """Print all keys that match a pattern."""
    found = _keys(to, to.ask(b"KEYS", pattern))
    _print(to, found, null)
    return Status.DONE if found else Status.ABSENT


@click.command(
    short_help="Print keys, however many there are.",
    help=f"""Print the keys that match PATTERN, or all, piece by piece as one node finds them.

    A key that is there all the time is printed once. One that comes or goes meanwhile may be printed or not. {HOW}""",
    epilog=statuses("absent: no key matches"),
)
@click.argument("pattern", default="*", callback=word_bytes)
@click.option("--limit", type=Whole(), metavar="N", help="Print no more than this number of keys.")
@null
@access
def scan(to: Access, pattern: bytes, limit: int | None, null: bool) -> int:
    """Print keys, however many there are."""
    printed = 0
    with one_node(to, lambda: f"the list is not whole: it ends after {counted(printed, 'key')}") as connection:
        for found in _pages(to, connection, pattern):
            left = found if limit is None else found[: limit - printed]
            _print(to, left, null)
            printed += len(left)
            if printed == limit:
                break
    return Status.DONE if printed else Status.ABSENT


def _pages(to: Access, connection: Connection, pattern: bytes) -> Iterator[list[bytes]]:
    cursor = b"0"
    while True:
        words = (b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"%d" % SCAN_COUNT)
        with for_answer([connection.endpoint]):
            reply = patiently(partial(connection.call, *words), to.answer_seconds)
        match reply:
            case [bytes() as cursor, list() as found]:
                yield _keys(to, found)
            case _:
                raise not_understood(to, reply)
        if cursor == b"0":
            return


def _keys(to: Access, reply: Reply) -> list[bytes]:
    found = [each for each in reply if isinstance(each, bytes)] if isinstance(reply, list) else []
    if not isinstance(reply, list) or len(found) != len(reply):
        raise not_understood(to, reply)
    return found


def _print(to: Access, keys: list[bytes], null: bool) -> None:
    if null and not to.as_json:
        emit(b"".join(key + b"\0" for key in keys), newline=False)
        return
    for key in keys:
        answer(_line(key), bytes_field("key", key), to.as_json)


def _line(key: bytes) -> bytes:
    """A key as a line that stands for no other key."""
    try:
        plain = key.decode().isprintable() and not key.startswith(b"$'")
    except UnicodeDecodeError:
        plain = False
    return key if plain else escaped_word(key).encode()
